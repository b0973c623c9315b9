"""ReLU and tanh, in place, against NumPy's ufuncs."""

import numpy as np
import pytest
from shapes import every_shape

from kernels import (
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

every_activation = pytest.mark.parametrize("activation", ["relu", "tanh"])


def numpy_relu_forward(h):
    """One ufunc into the same array."""
    np.maximum(h, 0, out=h)


def numpy_relu_backward(dh, h):
    """Multiply by the mask of the positive outputs."""
    dh *= h > 0


def numpy_tanh_forward(h):
    """One ufunc into the same array."""
    np.tanh(h, out=h)


def numpy_tanh_backward(dh, h):
    """Multiply by the slope 1 - h^2, which is worked out in one temporary array."""
    slope = h * h
    np.subtract(1, slope, out=slope)
    dh *= slope


def numpy_activation_forward(h, activation):
    """Choose by the activation's number."""
    {RELU: numpy_relu_forward, TANH: numpy_tanh_forward}[activation](h)


def numpy_activation_backward(dh, h, activation):
    """Choose by the activation's number."""
    {RELU: numpy_relu_backward, TANH: numpy_tanh_backward}[activation](dh, h)


@every_shape()
def test_relu_forward(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(relu_forward, numpy_relu_forward, normal(*sizes))


@every_shape()
def test_relu_backward(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(relu_backward, numpy_relu_backward, normal(*sizes), normal(*sizes))


@every_shape()
def test_tanh_forward(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(tanh_forward, numpy_tanh_forward, normal(*sizes))


@every_shape()
def test_tanh_backward(kernel_or_numpy, normal, sizes):
    dh, h = normal(*sizes), np.tanh(normal(*sizes))
    kernel_or_numpy(tanh_backward, numpy_tanh_backward, dh, h, timed=(dh, at_slope_one(h)))


@every_shape()
@every_activation
def test_activation_forward(kernel_or_numpy, normal, sizes, activation):
    kernel_or_numpy(activation_forward, numpy_activation_forward, normal(*sizes), activation_number(activation))


@every_shape()
@every_activation
def test_activation_backward(kernel_or_numpy, normal, sizes, activation):
    dh, h, number = normal(*sizes), np.tanh(normal(*sizes)), activation_number(activation)
    timed = (dh, at_slope_one(h) if number == TANH else h, number)
    kernel_or_numpy(activation_backward, numpy_activation_backward, dh, h, number, timed=timed)


def at_slope_one(h: np.ndarray) -> np.ndarray:
    """Outputs where tanh's slope is 1: multiplied by less at every call, dh would soon be subnormal, and slow."""
    return np.zeros_like(h)
