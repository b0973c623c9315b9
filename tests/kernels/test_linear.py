"""The linear layer: y = x W + b, and its derivative by x, W and b."""

import numpy as np
import pytest
from conftest import assert_close, both_dtypes, garbage, garbage_like, run, seeds, single, sizes
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import linear
from kernels._jit import COMPILED
from kernels.linear import (
    _thin_backward,
    _thin_forward,
    linear_backward_input,
    linear_backward_parameters,
    linear_forward,
)

# (B, I, O): what BLAS multiplies, and what the loops for few rows, few inputs and few outputs do.
shapes = st.tuples(sizes, sizes, sizes) | st.tuples(st.integers(2, 18), st.integers(1, 9), st.integers(8, 10))
shapes |= st.tuples(st.integers(1, 9), st.integers(8, 10), st.integers(1, 7))


def draw(seed, shape):
    """x, W, b and dy of a layer with shape = (B, I, O)."""
    rows, inputs, outputs = shape
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(s) for s in ((rows, inputs), (inputs, outputs), outputs, (rows, outputs))]


def forward(x, weight, bias):
    return run(linear_forward, (x, weight, bias), garbage((len(x), len(bias)), x.dtype))


def backward(dy, x, weight):
    """dx, dW, db."""
    dx = run(linear_backward_input, (dy, weight), garbage_like(x))
    return dx, *run(linear_backward_parameters, (dy, x), garbage_like(weight), garbage(dy.shape[1], dy.dtype))


@given(seeds, shapes)
@example(0, (1, 3, 4))
@example(0, (4, 1, 3))
@example(0, (4, 3, 1))
@example(0, (16, 9, 8))
@example(0, (17, 9, 8))
@example(0, (5, 9, 2))
@example(0, (8, 8, 7))
@example(0, (5, 9, 1))
@example(0, (5, 16, 1))
@example(0, (3, 64, 1))
def test_gradient_of_every_coordinate(seed, shape):
    x, weight, bias, dy = draw(seed, shape)
    for name, tensor, analytic in zip(("x", "W", "b"), (x, weight, bias), backward(dy, x, weight), strict=True):
        numeric = numeric_gradient(lambda: np.sum(dy * forward(x, weight, bias)), tensor)
        assert_gradient(analytic, numeric, name)


@given(seeds, shapes)
def test_agrees_with_numpy(seed, shape):
    x, weight, bias, dy = draw(seed, shape)
    assert_close(forward(x, weight, bias), np.einsum("bi,io->bo", x, weight) + bias)
    dx, dweight, dbias = backward(dy, x, weight)
    assert_close(dx, np.einsum("bo,io->bi", dy, weight))
    assert_close(dweight, np.einsum("bi,bo->io", x, dy))
    assert_close(dbias, dy.sum(axis=0))


@given(seeds, st.tuples(st.integers(1, 18), st.integers(1, 13), st.integers(1, 10)))
def test_the_loop_for_few_rows_agrees_with_numpy(seed, shape):
    x, weight, bias, _ = draw(seed, shape)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        inputs = tuple(array.astype(dtype) for array in (x, weight, bias))
        y = run(_thin_forward, inputs, garbage((len(x), len(bias)), dtype))
        assert_close(y, np.einsum("bi,io->bo", x, weight) + bias, tolerance)


@pytest.mark.parametrize("shape", [(1, 1, 8), (5, 3, 9), (40, 8, 64)])
def test_the_loop_for_few_inputs_agrees_with_numpy(shape):
    rng, (rows, inputs, outputs) = np.random.default_rng(5), shape
    x, dy, dweight = (
        rng.standard_normal((rows, inputs)),
        rng.standard_normal((rows, outputs)),
        np.full(shape[1:], np.nan),
    )
    _thin_backward(dy, x, dweight)
    np.testing.assert_allclose(dweight, x.T @ dy, rtol=1e-12, atol=1e-12)


without_jit = pytest.mark.skipif(COMPILED, reason="compiled code holds the functions and the limits that are replaced")


@without_jit
@pytest.mark.parametrize(
    ("shape", "forward_is_thin", "backward_is_thin"),
    [
        ((2, 5, 3), True, False), ((4, 5, 3), True, False), ((3, 9, 7), True, False), ((2, 5, 2), False, False),
        ((5, 5, 3), False, False), ((1, 5, 3), False, False), ((1, 9, 3), False, False), ((9, 4, 3), False, False),
        ((9, 2, 3), True, True), ((9, 1, 4), True, True), ((1, 2, 3), True, True), ((9, 3, 3), False, False),
        ((9, 2, 2), False, False), ((9, 1, 1), False, False), ((2, 2, 2), False, False), ((2, 1, 8), True, True),
    ],
)  # fmt: skip
def test_which_way_is_taken(shape, forward_is_thin, backward_is_thin, monkeypatch):
    rows, inputs, outputs = shape
    taken = []
    for name, value in (("FEW_ROWS", 4), ("FEW_INPUTS", 2), ("NARROW", 3)):
        monkeypatch.setattr(linear, name, value)
    for name in ("_thin_forward", "_thin_backward"):
        monkeypatch.setattr(linear, name, lambda *_, name=name: taken.append(name))
    x, y = np.zeros((rows, inputs)), np.zeros((rows, outputs))
    linear_forward(x, np.zeros((inputs, outputs)), np.zeros(outputs), y)
    linear_backward_parameters(y, x, np.zeros((inputs, outputs)), np.zeros(outputs))
    assert taken == ["_thin_forward"] * forward_is_thin + ["_thin_backward"] * backward_is_thin


@without_jit
@both_dtypes
@pytest.mark.parametrize(
    ("shape", "tiles"),
    [
        ((3, 16, 16), 3), ((3, 64, 32), 3), ((5, 17, 16), 2), ((3, 16, 17), 1), ((3, 16, 1), 1), ((3, 64, 7), 1),
        ((3, 65, 16), 0), ((3, 16, 65), 0), ((4, 9, 1), 0), ((5, 9, 2), 0), ((9, 10, 7), 0), ((1, 9, 1), 0),
        ((3, 7, 7), 0), ((3, 8, 5), 0), ((3, 5, 8), 0), ((2, 64, 1), 1), ((2, 65, 3), 0), ((3, 9, 8), 0),
    ],
)  # fmt: skip
def test_each_way_for_narrow_layers(dtype, shape, tiles, monkeypatch):
    """As with the JIT, but the product of tiles, which only compiled code has, is NumPy's."""
    monkeypatch.setattr(linear, "WIDE", 65)
    monkeypatch.setattr(linear, "TILE_BYTES", 16 * np.dtype(dtype).itemsize)
    taken = []

    def product(a, b, start, c):
        assert c.shape[1] % 16 == 0
        taken.append(c.shape)
        c[:] = a @ b + start

    monkeypatch.setattr(linear, "product", product)
    x, weight, bias, dy = (array.astype(dtype) for array in draw(3, shape))
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    assert_close(forward(x, weight, bias), np.einsum("bi,io->bo", x, weight) + bias, tolerance)
    dx, dweight, dbias = backward(dy, x, weight)
    assert_close(dx, np.einsum("bo,io->bi", dy, weight), tolerance)
    assert_close(dweight, np.einsum("bi,bo->io", x, dy), tolerance)
    assert_close(dbias, dy.sum(axis=0), tolerance)
    assert len(taken) == tiles


@without_jit
@pytest.mark.parametrize(
    ("inputs", "outputs", "few"),
    [
        (2, 2, False), (3, 2, True), (3, 3, False), (4, 2, True), (6, 2, True), (7, 2, False), (6, 1, True),
        (2, 1, False), (6, 4, False),
    ],
)  # fmt: skip
def test_which_layers_have_few_outputs(inputs, outputs, few, monkeypatch):
    monkeypatch.setattr(linear, "NARROW", 3)
    monkeypatch.setattr(linear, "WIDE", 7)
    assert linear._few_outputs(np.zeros((inputs, outputs))) == few


def test_two_rows_by_hand():
    x, weight, bias = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0], [6.0]]), np.array([7.0])
    np.testing.assert_array_equal(forward(x, weight, bias), [[24], [46]])
    dx, dweight, dbias = backward(np.array([[10.0], [100.0]]), x, weight)
    np.testing.assert_array_equal(dx, [[50, 60], [500, 600]])
    np.testing.assert_array_equal(dweight, [[310], [420]])
    np.testing.assert_array_equal(dbias, [110])


@given(seeds, shapes)
def test_backward_is_the_adjoint_of_forward(seed, shape):
    x, weight, bias, dy = draw(seed, shape)
    dx, dweight, dbias = backward(dy, x, weight)
    product = np.vdot(dy, forward(x, weight, np.zeros_like(bias)))
    assert_close(np.vdot(dx, x), product)
    assert_close(np.vdot(dweight, weight), product)
    assert_close(np.vdot(dbias, bias), np.vdot(dy, forward(np.zeros_like(x), weight, bias)))


@given(seeds, shapes)
def test_zero_input_gives_the_bias_in_every_row(seed, shape):
    x, weight, bias, _ = draw(seed, shape)
    np.testing.assert_array_equal(forward(np.zeros_like(x), weight, bias), np.tile(bias, (len(x), 1)))


@given(seeds, shapes)
def test_float32_agrees_with_float64(seed, shape):
    x, weight, bias, dy = draw(seed, shape)
    x_, weight_, bias_, dy_ = single(x, weight, bias, dy)
    assert_close(forward(x_, weight_, bias_), forward(x, weight, bias), 1e-5)
    for rough, exact in zip(backward(dy_, x_, weight_), backward(dy, x, weight), strict=True):
        assert_close(rough, exact, 1e-5)
