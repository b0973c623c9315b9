"""Gradient clipping and Adam against NumPy, over 9,797 parameters (a small network) and the article's 1,063,941."""

from functools import partial

import numpy as np

from bench.kernels.cases import Case, benchmark_of, shapes
from bench.reference.optimizer import numpy_adam, numpy_clip_by_global_norm, numpy_global_norm
from kernels.optimizer import adam, clip_by_global_norm, global_norm

SHAPES = shapes("9797", "1063941")


@benchmark_of(SHAPES)
def test_global_norm(draw, p):
    return Case(global_norm, numpy_global_norm, (draw(p),))


@benchmark_of(SHAPES)
def test_clip_by_global_norm(draw, p):
    """Timed with a scale that rounds to 1: halved at every call, the gradient would soon be subnormal."""
    grads = draw(p)
    arguments, timed = (grads, 2.0, 1.0), (grads, 1.0 + 1e-12, 1.0)
    return Case(clip_by_global_norm, numpy_clip_by_global_norm, arguments, timed=timed)


@benchmark_of(SHAPES)
def test_adam(draw, p):
    params, grads, m, v = draw(p), draw(p), draw(p), np.abs(draw(p))
    numpy_version = partial(numpy_adam, scratch=np.empty_like(params))
    return Case(adam, numpy_version, (params, grads, m, v, 10, 2.5e-4, 0.9, 0.999, 1e-5))
