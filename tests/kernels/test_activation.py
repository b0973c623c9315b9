"""ReLU and tanh: their values, their derivatives, and what they do with 0, infinity and NaN."""

import numba
import numpy as np
import pytest
from conftest import assert_close, both_dtypes, seeds, single, sizes
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import given

from kernels.activation import (
    RELU,
    TANH,
    activation_backward,
    activation_forward,
    activation_number,
    relu_backward,
    relu_forward,
    tanh_backward,
    tanh_forward,
)

TANH_ERROR = 3.5e-7
GRID_POINTS = 10_001 if numba.config.DISABLE_JIT else 1_000_001

NUMPY = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}
NUMPY_DERIVATIVE = {"relu": lambda x: np.where(x > 0, 1.0, 0.0), "tanh": lambda x: np.cosh(x) ** -2}
# Each activation by its own kernel, and by the one that chooses among them.
FORWARD = {"relu": (relu_forward, ()), "tanh": (tanh_forward, ())}
FORWARD |= {name + " by number": (activation_forward, (activation_number(name),)) for name in NUMPY}
BACKWARD = {"relu": (relu_backward, ()), "tanh": (tanh_backward, ())}
BACKWARD |= {name + " by number": (activation_backward, (activation_number(name),)) for name in NUMPY}

every_way = pytest.mark.parametrize("way", FORWARD)


def forward(way, x):
    kernel, number = FORWARD[way]
    h = x.copy()
    kernel(h, *number)
    return h


def backward(way, dy, y):
    kernel, number = BACKWARD[way]
    dh, h = dy.copy(), y.copy()
    kernel(dh, h, *number)
    np.testing.assert_array_equal(h, y)
    return dh


def draw(seed, shape):
    """x away from the kink of ReLU, on both sides of it, and dy."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 3, shape) * rng.choice([-1, 1], shape), rng.standard_normal(shape)


@every_way
@given(seeds, sizes, sizes)
def test_gradient_of_every_coordinate(way, seed, rows, columns):
    x, dy = draw(seed, (rows, columns))
    numeric = numeric_gradient(lambda: np.sum(dy * forward(way, x)), x)
    assert_gradient(backward(way, dy, forward(way, x)), numeric)


@every_way
@given(seeds, sizes, sizes)
def test_agrees_with_numpy(way, seed, rows, columns):
    x, dy = draw(seed, (rows, columns))
    name = way.split()[0]
    y = forward(way, x)
    assert_close(y, NUMPY[name](x))
    assert_close(backward(way, dy, y), dy * NUMPY_DERIVATIVE[name](x))


@every_way
@given(seeds)
def test_float32_agrees_with_float64(way, seed):
    x, dy = draw(seed, (4, 5))
    x_, dy_ = single(x, dy)
    assert_close(forward(way, x_), forward(way, x), 1e-6)
    assert_close(backward(way, dy_, forward(way, x_)), backward(way, dy, forward(way, x)), 1e-5)


@both_dtypes
def test_relu_and_its_derivative_are_0_at_0(dtype):
    y = forward("relu", np.array([[0.0, -0.0]], dtype))
    np.testing.assert_array_equal(y, [[0, 0]])
    np.testing.assert_array_equal(backward("relu", np.array([[3.0, -3.0]], dtype), y), [[0, 0]])


@both_dtypes
def test_relu_of_extremes(dtype):
    tiny = np.finfo(dtype).tiny
    x = np.array([[np.inf, -np.inf, tiny, -tiny, np.nan]], dtype)
    np.testing.assert_array_equal(forward("relu", x), np.array([[np.inf, 0, tiny, 0, np.nan]], dtype))


@both_dtypes
def test_derivative_of_relu_is_0_wherever_its_output_is_not_above_0_nan_included(dtype):
    h = np.array([[2.0, 0.0, np.nan, np.inf]], dtype)
    np.testing.assert_array_equal(backward("relu", np.array([[3, 3, 3, 3]], dtype), h), [[3, 0, 0, 3]])


@given(seeds, sizes, sizes)
def test_relu_of_x_minus_relu_of_minus_x_is_x(seed, rows, columns):
    x, _ = draw(seed, (rows, columns))
    np.testing.assert_array_equal(forward("relu", x) - forward("relu", -x), x)


@both_dtypes
def test_tanh_of_extremes(dtype):
    y = forward("tanh", np.array([[0, np.inf, -np.inf, 100, -100, np.nan]], dtype))
    np.testing.assert_allclose(y, [[0, 1, -1, 1, -1, np.nan]], atol=TANH_ERROR)
    assert y[0, 0] == 0
    assert np.all(np.abs(y[0, :5]) <= 1)


def test_float32_tanh_is_accurate_on_a_dense_grid():
    x = np.concatenate([np.linspace(-10, 10, GRID_POINTS), np.linspace(-100, 100, 2001)]).astype(np.float32)[None]
    y = forward("tanh", x)
    assert np.max(np.abs(y - np.tanh(x.astype(np.float64)))) <= TANH_ERROR
    assert np.max(np.abs(y)) <= 1
    np.testing.assert_array_equal(forward("tanh", -x), -y)


def test_float32_tanh_is_the_rational_function():
    """The library's, slow as it is, would be right to half a unit in the last place: 6e-8."""
    x = np.linspace(-3, 3, 2001).astype(np.float32)[None]
    assert np.max(np.abs(forward("tanh", x) - np.tanh(x.astype(np.float64)))) > 1e-7


def test_float32_tanh_keeps_the_digits_of_small_numbers():
    x = np.logspace(-30, -4, 200, dtype=np.float32)[None]
    np.testing.assert_allclose(forward("tanh", x), x, rtol=3e-7)


@both_dtypes
def test_derivative_of_tanh_at_the_ends_and_in_the_middle(dtype):
    dy = np.array([[3.0, 3.0, 3.0, 3.0]], dtype)
    dx = backward("tanh", dy, np.array([[1.0, -1.0, 0.0, 0.5]], dtype))
    np.testing.assert_array_equal(dx, [[0, 0, 3, 2.25]])


def test_a_name_stands_for_one_activation():
    assert activation_number("relu") == RELU
    assert activation_number("tanh") == TANH
    with pytest.raises(KeyError):
        activation_number("gelu")
