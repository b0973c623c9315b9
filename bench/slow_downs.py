"""Slow-downs to plant, which show that the gate sees them: the same numbers, or nearly, by a slower way."""

import math

import kernels
from kernels._jit import kernel


@kernel
def libm_tanh(h):
    """tanh by the C library, a number at a time: what `tanh_forward` would be without its rational function."""
    for b in range(h.shape[0]):
        for o in range(h.shape[1]):
            h[b, o] = math.tanh(h[b, o])


def adam_twice(*arguments, adam=kernels.adam):
    """Adam's step, and once more."""
    adam(*arguments)
    adam(*arguments)


def relu_backward_across(dh, h, relu_backward=kernels.relu_backward):
    """The loop runs down the columns, over strides: no SIMD."""
    relu_backward(dh.T, h.T)


# Name of the plant, kernel that it stands in for, what stands in.
PLANTS = {
    "libm-tanh": ("tanh_forward", libm_tanh),
    "adam-twice": ("adam", adam_twice),
    "strided-relu": ("relu_backward", relu_backward_across),
}


def plant(name: str) -> None:
    """Put a slow-down into `kernels`, for cases that are made from now on."""
    kernel_name, slower = PLANTS[name]
    setattr(kernels, kernel_name, slower)
