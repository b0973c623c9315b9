"""Gradient clipping and Adam against NumPy, over 9,797 parameters (a small network) and the article's 1,063,941.

Clipping is timed with a scale that rounds to 1: halved at every call, the gradient would soon be subnormal.
"""

import numpy as np

from bench.kernels.cases import benchmark_of, shapes
from kernels.optimizer import adam, clip_by_global_norm, global_norm

SHAPES = shapes("9797", "1063941")


def training(draw, p):
    return draw(p), draw(p), draw(p), np.abs(draw(p)), 10, 2.5e-4, 0.9, 0.999, 1e-5


test_global_norm = benchmark_of(global_norm, SHAPES, lambda draw, p: (draw(p),))
test_clip_by_global_norm = benchmark_of(
    clip_by_global_norm, SHAPES, lambda draw, p: (draw(p), 2.0, 1.0), timed=lambda grads, *_: (grads, 1.0 + 1e-12, 1.0)
)
test_adam = benchmark_of(adam, SHAPES, training)
