"""Running moments, standardisation and discounted rewards against NumPy: one step of 64 environments, and rollouts."""

import numpy as np

from bench.kernels.cases import benchmark_of, shapes
from kernels.moments import discounted_sums, standardize, update_moments

SHAPES = shapes("64x4", "2048x1", "2048x17", "4096x376")


def moments(draw, columns):
    """Mean and variance of columns."""
    return draw.rng.standard_normal(columns), 1 + draw.rng.random(columns)


def rewards(draw, t, n):
    running, sums = draw.rng.standard_normal(n), draw.rng.standard_normal((t, n))
    return draw(t, n), draw.flags(0.98, t, n), draw.flags(0.02, t, n), 0.99, running, sums


test_update_moments = benchmark_of(
    update_moments, SHAPES,
    lambda draw, b, d: (draw(b, d), draw.flags(0.98, b), np.array([1000.0]), *moments(draw, d)),
)  # fmt: skip
test_standardize = benchmark_of(
    standardize, SHAPES, lambda draw, b, d: (draw(b, d), *moments(draw, d), 2.0, draw(b, d))
)
test_discounted_sums = benchmark_of(discounted_sums, shapes("128x4", "128x64"), rewards)
