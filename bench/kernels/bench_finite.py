"""The search for numbers out of range against NumPy, where there are none: the whole array is read."""

import math

from bench.kernels.cases import benchmark_of, every_shape, shapes
from kernels.finite import all_finite, first_outside

test_first_outside = benchmark_of(
    first_outside, shapes("4", "4x8", "64x24", "128x1024"), lambda draw, *sizes: (draw(math.prod(sizes)), 1e15)
)
test_all_finite = benchmark_of(all_finite, every_shape("1024x1024"), lambda draw, *sizes: (draw(math.prod(sizes)),))
