"""Linear layer against `np.dot` and NumPy's sums."""

import numpy as np
import pytest

from kernels import linear_backward_input, linear_backward_parameters, linear_forward

SHAPES = ["4x64x64", "16x64x64", "4x1024x1024", "128x64x64", "128x1024x1024"]


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


@pytest.mark.parametrize("shape", SHAPES)
def test_linear_forward(kernel_or_numpy, normal, sizes):
    rows, inputs, outputs = sizes
    x, weight, bias, y = normal(rows, inputs), normal(inputs, outputs), normal(outputs), normal(rows, outputs)
    kernel_or_numpy(linear_forward, numpy_linear_forward, x, weight, bias, y)


@pytest.mark.parametrize("shape", SHAPES)
def test_linear_backward_parameters(kernel_or_numpy, normal, sizes):
    rows, inputs, outputs = sizes
    dy, x, dweight, dbias = normal(rows, outputs), normal(rows, inputs), normal(inputs, outputs), normal(outputs)
    kernel_or_numpy(linear_backward_parameters, numpy_linear_backward_parameters, dy, x, dweight, dbias)


@pytest.mark.parametrize("shape", SHAPES)
def test_linear_backward_input(kernel_or_numpy, normal, sizes):
    rows, inputs, outputs = sizes
    dy, weight, dx = normal(rows, outputs), normal(inputs, outputs), normal(rows, inputs)
    kernel_or_numpy(linear_backward_input, numpy_linear_backward_input, dy, weight, dx)
