"""ReLU and tanh, in place, against NumPy's ufuncs.

The backward passes are timed where the slope is 1: multiplied by less at every call, dh would soon be subnormal.
"""

import numpy as np

from bench.kernels.cases import Case, benchmark_of, every_shape
from bench.reference.activation import (
    numpy_activation_backward,
    numpy_activation_forward,
    numpy_relu_backward,
    numpy_relu_forward,
    numpy_tanh_backward,
    numpy_tanh_forward,
)
from kernels.activation import (
    activation_backward,
    activation_forward,
    activation_number,
    relu_backward,
    relu_forward,
    tanh_backward,
    tanh_forward,
)

SLOPE_1 = {"relu": np.ones_like, "tanh": np.zeros_like}


@benchmark_of(every_shape())
def test_relu_forward(draw, b, o):
    return Case(relu_forward, numpy_relu_forward, (draw(b, o),))


@benchmark_of(every_shape())
def test_relu_backward(draw, b, o):
    dh, h = draw(b, o), draw(b, o)
    return Case(relu_backward, numpy_relu_backward, (dh, h), timed=(dh, np.ones_like(h)))


@benchmark_of(every_shape())
def test_tanh_forward(draw, b, o):
    return Case(tanh_forward, numpy_tanh_forward, (draw(b, o),))


@benchmark_of(every_shape())
def test_tanh_backward(draw, b, o):
    dh, h = draw(b, o), np.tanh(draw(b, o))
    return Case(tanh_backward, numpy_tanh_backward, (dh, h), timed=(dh, np.zeros_like(h)))


@benchmark_of(every_shape(), "relu", "tanh")
def test_activation_forward(draw, b, o, name):
    return Case(activation_forward, numpy_activation_forward, (draw(b, o), activation_number(name)))


@benchmark_of(every_shape(), "relu", "tanh")
def test_activation_backward(draw, b, o, name):
    dh, h, number = draw(b, o), np.tanh(draw(b, o)), activation_number(name)
    timed = dh, SLOPE_1[name](h), number
    return Case(activation_backward, numpy_activation_backward, (dh, h, number), timed=timed)
