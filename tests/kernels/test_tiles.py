"""Products tile by tile: the numbers of NumPy, and rows that do not depend on one another."""

import numpy as np
import pytest
from conftest import assert_close, garbage, garbage_like, run, seeds
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import example, given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from kernels._jit import COMPILED
from kernels.linear import WIDE, _in_tiles, linear_backward_input, linear_backward_parameters, linear_forward
from kernels.tiles import CACHED, ROWS, TILE_BYTES, product

pytestmark = pytest.mark.skipif(not COMPILED, reason="without the JIT, BLAS computes all products")

COLUMNS = {dtype: TILE_BYTES // np.dtype(dtype).itemsize for dtype in (np.float32, np.float64)}
TOLERANCES = {np.float32: 1e-5, np.float64: 1e-12}
dtypes = st.sampled_from([np.float32, np.float64])


def draw(seed, dtype, rows, terms, tiles):
    """a, b and start of a product whose result is so many tiles wide."""
    rng, columns = np.random.default_rng(seed), tiles * COLUMNS[dtype]
    return [rng.standard_normal(shape).astype(dtype) for shape in ((rows, terms), (terms, columns), columns)]


def ours(a, b, start):
    return run(product, (a, b, start), garbage((len(a), len(start)), a.dtype))


@given(seeds, dtypes, st.integers(1, 2 * ROWS + 1), st.integers(1, 70), st.integers(1, 3), st.booleans())
@example(0, np.float32, 3, CACHED // 4 // 16 + 1, 1, True)  # as many terms as are added in two groups
@example(0, np.float64, 5, CACHED // 8 // 8 * 2, 1, False)
def test_agrees_with_numpy(seed, dtype, rows, terms, tiles, transposed):
    a, b, start = draw(seed, dtype, rows, terms, tiles)
    left = np.ascontiguousarray(a.T).T if transposed else a
    expected = start + np.einsum("rk,kc->rc", a.astype(np.float64), b.astype(np.float64))
    assert_close(ours(left, b, start), expected, TOLERANCES[dtype] * terms)


@given(seeds, dtypes, st.integers(1, 2 * ROWS + 1), st.integers(1, 40))
def test_a_row_does_not_depend_on_the_others(seed, dtype, rows, terms):
    a, b, start = draw(seed, dtype, rows, terms, 2)
    together = ours(a, b, start)
    for r in range(rows):
        np.testing.assert_array_equal(together[r : r + 1], ours(a[r : r + 1], b, start))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_reaches_its_row_only(bad):
    a, b, start = draw(0, np.float32, 5, 6, 1)
    a[2, 3] = bad
    finite = np.isfinite(ours(a, b, start)).all(axis=1)
    np.testing.assert_array_equal(finite, [True, True, False, True, True])


def test_no_rows_and_no_terms():
    a, b, start = draw(0, np.float32, 0, 6, 1)
    assert ours(a, b, start).shape == (0, COLUMNS[np.float32])
    a, b, start = draw(0, np.float32, 5, 0, 1)
    np.testing.assert_array_equal(ours(a, b, start), np.tile(start, (5, 1)))


def test_a_result_that_is_wider_than_the_cache():
    a, b, start = draw(0, np.float64, 5, 3, CACHED // TILE_BYTES + 1)
    assert_close(ours(a, b, start), start + a @ b)


@pytest.mark.parametrize("types", [(np.float64, np.float32), (np.float32, np.float64), (np.int64, np.int64)])
def test_arrays_of_other_types_are_refused(types):
    a, b, start = draw(0, np.float32, 4, 6, 2)
    with pytest.raises(TypingError, match="of float32 or of float64"):
        product(a.astype(types[0]), b.astype(types[1]), start, np.empty((4, len(start)), np.float32))


def test_arrays_with_gaps_are_refused():
    a, b, start = draw(0, np.float32, 4, 6, 1)
    with pytest.raises(TypingError, match="contiguous"):
        product(a[:, ::2], b[:3], start, np.empty((4, len(start)), np.float32))


@pytest.mark.parametrize("dtype", COLUMNS)
def test_which_layers_are_computed_in_tiles(dtype):
    whole = COLUMNS[dtype]

    def fit(inputs, outputs, columns):
        return _in_tiles(np.zeros((inputs, outputs), dtype), columns)

    assert fit(3, WIDE - 1, WIDE - 1) and fit(WIDE - 1, 1, WIDE - 1) and fit(1, whole, whole)
    assert not fit(3, whole + 1, whole + 1) and not fit(3, whole - 1, whole - 1) and not fit(3, 1, 1)
    assert not fit(WIDE, whole, whole) and not fit(whole, WIDE, whole)


@pytest.mark.parametrize("rows", [1, 7, 40])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 64), (64, 64), (16, 32), (64, 1)])
def test_gradients_of_a_layer_that_is_computed_in_tiles(rows, inputs, outputs):
    rng = np.random.default_rng(7)
    x, weight, bias, dy = map(rng.standard_normal, ((rows, inputs), (inputs, outputs), outputs, (rows, outputs)))
    assert _in_tiles(weight, outputs) or _in_tiles(weight, inputs)
    dx = run(linear_backward_input, (dy, weight), garbage_like(x))
    dweight, dbias = run(linear_backward_parameters, (dy, x), garbage_like(weight), garbage_like(bias))

    def loss():
        return np.sum(dy * run(linear_forward, (x, weight, bias), garbage_like(dy)))

    for name, tensor, analytic in (("x", x, dx), ("W", weight, dweight), ("b", bias, dbias)):
        assert_gradient(analytic, numeric_gradient(loss, tensor), name)
