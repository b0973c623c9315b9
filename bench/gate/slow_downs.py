"""Slow-downs to plant, which show that the gate sees them: the same numbers, or nearly, by a slower way."""

import math
from dataclasses import replace

from bench.kernels.cases import Case
from kernels._jit import kernel
from kernels.activation import relu_backward
from kernels.optimizer import adam


@kernel
def libm_tanh(h):
    """tanh by the C library, a number at a time: what `tanh_forward` would be without its rational function."""
    for b in range(h.shape[0]):
        for o in range(h.shape[1]):
            h[b, o] = math.tanh(h[b, o])


def adam_twice(*arguments):
    """Adam's step, and once more."""
    adam(*arguments)
    adam(*arguments)


def relu_backward_across(dh, h):
    """The loop runs down the columns, over strides: no SIMD."""
    relu_backward(dh.T, h.T)


# Name of the plant: the kernel that it stands in for, and what stands in.
PLANTS = {
    "libm-tanh": ("tanh_forward", libm_tanh),
    "adam-twice": ("adam", adam_twice),
    "strided-relu": ("relu_backward", relu_backward_across),
}


def planted(case: Case, plant: str | None) -> Case:
    """The case with a slow-down in the place of its kernel, if the slow-down is one of this kernel."""
    kernel_name, slower = PLANTS.get(plant, ("", None))
    return replace(case, ours=slower) if case.ours.__name__ == kernel_name else case
