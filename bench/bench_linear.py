"""Linear layer against `np.dot` and NumPy's sums."""

import math

import numpy as np
from shapes import every_shape

from kernels import linear_backward_input, linear_backward_parameters, linear_forward

every_layer = every_shape("16x64x64", "4x1024x1024", of=lambda rows, width: (rows, width, width))


def numpy_linear_forward(x, weight, bias, y):
    """Multiply into the output, then add the bias in place."""
    np.dot(x, weight, out=y)
    np.add(y, bias, out=y)


def numpy_linear_backward_parameters(dy, x, dweight, dbias):
    """Multiply and sum into the outputs."""
    np.dot(x.T, dy, out=dweight)
    np.sum(dy, axis=0, out=dbias)


def numpy_linear_backward_input(dy, weight, dx):
    """Multiply into the output."""
    np.dot(dy, weight.T, out=dx)


@every_layer
def test_linear_forward(kernel_or_numpy, normal, sizes):
    rows, inputs, outputs = sizes
    x, weight, bias, y = normal(rows, inputs), normal(inputs, outputs), normal(outputs), normal(rows, outputs)
    kernel_or_numpy(linear_forward, numpy_linear_forward, x, weight, bias, y, flop=2 * math.prod(sizes))


@every_layer
def test_linear_backward_parameters(kernel_or_numpy, normal, sizes):
    rows, inputs, outputs = sizes
    dy, x, dweight, dbias = normal(rows, outputs), normal(rows, inputs), normal(inputs, outputs), normal(outputs)
    kernel_or_numpy(
        linear_backward_parameters, numpy_linear_backward_parameters,
        dy, x, dweight, dbias, flop=2 * math.prod(sizes),
    )  # fmt: skip


@every_layer
def test_linear_backward_input(kernel_or_numpy, normal, sizes):
    rows, inputs, outputs = sizes
    dy, weight, dx = normal(rows, outputs), normal(inputs, outputs), normal(rows, inputs)
    flop = 2 * math.prod(sizes)
    kernel_or_numpy(linear_backward_input, numpy_linear_backward_input, dy, weight, dx, flop=flop)
