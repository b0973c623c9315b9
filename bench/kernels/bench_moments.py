"""Running moments, standardisation and discounted rewards against NumPy: one step of 64 environments, and rollouts."""

import numpy as np

from bench.kernels.cases import Case, benchmark_of, shapes
from bench.reference.moments import numpy_discounted_sums, numpy_standardize, numpy_update_moments
from kernels.moments import discounted_sums, standardize, update_moments

SHAPES = shapes("64x4", "2048x1", "2048x17", "4096x376")


def moments(draw, columns):
    """Mean and variance of columns."""
    return draw.rng.standard_normal(columns), 1 + draw.rng.random(columns)


@benchmark_of(SHAPES)
def test_update_moments(draw, b, d):
    arrays = draw(b, d), draw.flags(0.98, b), np.array([1000.0]), *moments(draw, d)
    return Case(update_moments, numpy_update_moments, arrays)


@benchmark_of(SHAPES)
def test_standardize(draw, b, d):
    return Case(standardize, numpy_standardize, (draw(b, d), *moments(draw, d), 2.0, draw(b, d)))


@benchmark_of(shapes("128x4", "128x64"))
def test_discounted_sums(draw, t, n):
    running, sums = draw.rng.standard_normal(n), draw.rng.standard_normal((t, n))
    arguments = draw(t, n), draw.flags(0.98, t, n), draw.flags(0.02, t, n), 0.99, running, sums
    return Case(discounted_sums, numpy_discounted_sums, arguments)
