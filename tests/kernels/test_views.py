"""A part of a flat array as a matrix: the numbers and the memory of NumPy's slices."""

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

from kernels._jit import COMPILED
from kernels.views import matrix


def shape_and_numbers(flat, start, rows, columns):
    made = matrix(flat, start, rows, columns)
    made[:] += 100
    return made.copy(), made[rows - 1].copy()


IN_A_KERNEL = numba.njit(shape_and_numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(("shape", "start", "rows", "columns"), [(30, 4, 3, 5), (30, 0, 30, 1), ((5, 6), 7, 1, 23)])
def test_the_numbers_and_the_memory_of_a_slice(dtype, shape, start, rows, columns):
    flat = np.arange(30, dtype=dtype).reshape(shape)
    expected = np.arange(30, dtype=dtype)
    expected[start : start + rows * columns] += 100
    made, last = IN_A_KERNEL(flat, start, rows, columns)
    assert made.dtype == dtype
    assert made.shape == (rows, columns)
    np.testing.assert_array_equal(flat.reshape(-1), expected)
    np.testing.assert_array_equal(made.reshape(-1), expected[start : start + rows * columns])
    np.testing.assert_array_equal(last, made[-1])


@pytest.mark.skipif(not COMPILED, reason="NumPy copies such an array")
def test_an_array_that_is_not_contiguous():
    with pytest.raises(TypingError, match="matrix needs a contiguous array"):
        IN_A_KERNEL(np.zeros((4, 6))[:, ::2], 0, 2, 2)
