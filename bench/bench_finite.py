"""The search for numbers out of range against NumPy, where there are none: the whole array is read."""

import numpy as np
import pytest
from shapes import every_shape

from kernels import all_finite, first_outside


def numpy_first_outside(x, limit):
    """The largest magnitude settles it if all is well; only then are places looked for."""
    if np.abs(x).max() <= limit:
        return -1
    return int(np.flatnonzero(~(np.abs(x) <= limit))[0])


@pytest.mark.parametrize("shape", ["4", "4x8", "64x24", "128x1024"])
def test_first_outside(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(first_outside, numpy_first_outside, normal(*sizes).reshape(-1), 1e15)


def numpy_all_finite(x):
    """An array of truth values, and whether all are true."""
    return bool(np.isfinite(x).all())


@every_shape("1024x1024")
def test_all_finite(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(all_finite, numpy_all_finite, normal(*sizes).reshape(-1))
