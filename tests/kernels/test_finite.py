"""The search for numbers out of range: NaN, infinities, the first of several, the exact limit."""

import numpy as np
import pytest
from conftest import both_dtypes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kernels.finite import all_finite, first_outside


@both_dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 10.001, -10.001])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_the_first_one_is_found(dtype, bad, place):
    x = np.linspace(-10, 10, 7).astype(dtype)
    x[place:] = bad
    assert first_outside(x, 10.0) == place


@both_dtypes
def test_the_limit_itself_is_inside(dtype):
    x = np.array([10, -10, 0, -0.0], dtype)
    assert first_outside(x, 10.0) == -1
    assert first_outside(x, np.nextafter(dtype(10), dtype(0))) == 0


def test_nothing_holds_nothing():
    assert first_outside(np.zeros(0), 1.0) == -1


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats()), st.floats(0, 1e300))
def test_it_is_what_numpy_finds(x, limit):
    outside = np.flatnonzero(~(np.abs(x) <= limit))
    assert first_outside(x, limit) == (outside[0] if len(outside) else -1)


# Without the JIT, NumPy warns of 0 * inf.
without_warnings = pytest.mark.filterwarnings("ignore:invalid value encountered in scalar multiply:RuntimeWarning")


@without_warnings
@both_dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 1000])
def test_one_that_is_not_finite_is_enough_wherever_it_stands(dtype, bad, size):
    x = np.full(size, np.finfo(dtype).max)
    assert all_finite(x)
    for place in {0, size // 2, size - 1}:
        y = x.copy()
        y[place] = bad
        assert not all_finite(y)


def test_nothing_is_finite():
    assert all_finite(np.zeros(0))


@without_warnings
@given(arrays(np.float64, st.integers(0, 40), elements=st.floats()))
def test_it_is_numpys_isfinite(x):
    assert all_finite(x) == np.isfinite(x).all()
