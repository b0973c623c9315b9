"""ReLU and tanh in place, by NumPy's ufuncs."""

import numpy as np

from kernels.activation import RELU, TANH


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
