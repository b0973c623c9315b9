"""ReLU and tanh, in place, against NumPy's ufuncs.

The backward passes are timed where the slope is 1: multiplied by less at every call, dh would soon be subnormal.
"""

import numpy as np

from bench.kernels.cases import benchmark_of, every_shape
from kernels.activation import (
    RELU,
    activation_backward,
    activation_forward,
    activation_number,
    relu_backward,
    relu_forward,
    tanh_backward,
    tanh_forward,
)

SHAPES = every_shape()


def backward(draw, b, o, name):
    return draw(b, o), np.tanh(draw(b, o)), activation_number(name)


def where_the_slope_is_1(dh, h, number):
    return dh, np.ones_like(h) if number == RELU else np.zeros_like(h), number


test_relu_forward = benchmark_of(relu_forward, SHAPES, lambda draw, b, o: (draw(b, o),))
test_relu_backward = benchmark_of(
    relu_backward, SHAPES, lambda draw, b, o: (draw(b, o), draw(b, o)), timed=lambda dh, h: (dh, np.ones_like(h))
)
test_tanh_forward = benchmark_of(tanh_forward, SHAPES, lambda draw, b, o: (draw(b, o),))
test_tanh_backward = benchmark_of(
    tanh_backward, SHAPES, lambda draw, b, o: (draw(b, o), np.tanh(draw(b, o))),
    timed=lambda dh, h: (dh, np.zeros_like(h)),
)  # fmt: skip
test_activation_forward = benchmark_of(
    activation_forward, SHAPES, lambda draw, b, o, name: (draw(b, o), activation_number(name)), "relu", "tanh"
)
test_activation_backward = benchmark_of(
    activation_backward, SHAPES, backward, "relu", "tanh", timed=where_the_slope_is_1
)
