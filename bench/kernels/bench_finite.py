"""The search for numbers out of range against NumPy, where there are none: the whole array is read."""

import math

from bench.kernels.cases import Case, benchmark_of, every_shape, shapes
from bench.reference.finite import numpy_all_finite, numpy_first_outside
from kernels.finite import all_finite, first_outside


@benchmark_of(shapes("4", "4x8", "64x24", "128x1024"))
def test_first_outside(draw, *sizes):
    return Case(first_outside, numpy_first_outside, (draw(math.prod(sizes)), 1e15))


@benchmark_of(every_shape("1024x1024"))
def test_all_finite(draw, *sizes):
    return Case(all_finite, numpy_all_finite, (draw(math.prod(sizes)),))
