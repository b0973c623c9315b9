"""A whole tower, 8 inputs - two hidden layers - 4 outputs, against the same loop over NumPy's layers."""

import numpy as np
import pytest
from bench_activation import numpy_activation_backward, numpy_activation_forward
from bench_linear import numpy_linear_backward_input, numpy_linear_backward_parameters, numpy_linear_forward
from shapes import every_shape

from kernels import activation_number, mlp_backward, mlp_forward

INPUTS, OUTPUTS = 8, 4


def numpy_mlp_forward(x, weights, biases, activation, activate_last, outputs):
    """Run the layers one after another, each into its output."""
    for layer, (weight, bias, y) in enumerate(zip(weights, biases, outputs, strict=True)):
        numpy_linear_forward(x, weight, bias, y)
        if layer < len(weights) - 1 or activate_last:
            numpy_activation_forward(y, activation)
        x = y


def numpy_mlp_backward(doutputs, x, outputs, weights, activation, activate_last, dweights, dbiases):
    """Walk back from the last layer to the first."""
    last = len(weights) - 1
    inputs = (x, *outputs[:-1])
    for layer in range(last, -1, -1):
        dz = doutputs[layer]
        if layer < last or activate_last:
            numpy_activation_backward(dz, outputs[layer], activation)
        numpy_linear_backward_parameters(dz, inputs[layer], dweights[layer], dbiases[layer])
        if layer > 0:
            numpy_linear_backward_input(dz, weights[layer], doutputs[layer - 1])


@pytest.fixture
def tower(normal, sizes):
    """Input, weights, biases and outputs of a tower; scaled so that the numbers neither grow nor fade."""
    rows, hidden = sizes
    widths = [(INPUTS, hidden), (hidden, hidden), (hidden, OUTPUTS)]
    weights = tuple(normal(i, o) / np.float32(i**0.5) for i, o in widths)
    biases, outputs = tuple(normal(o) for _, o in widths), tuple(normal(rows, o) for _, o in widths)
    return normal(rows, INPUTS), weights, biases, outputs


@every_shape()
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_mlp_forward(kernel_or_numpy, tower, activation):
    x, weights, biases, outputs = tower
    number = activation_number(activation)
    flop = 2 * len(x) * sum(weight.size for weight in weights)
    kernel_or_numpy(mlp_forward, numpy_mlp_forward, x, weights, biases, number, False, outputs, flop=flop)


@every_shape()
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_mlp_backward(kernel_or_numpy, normal, tower, activation):
    x, weights, biases, outputs = tower
    number = activation_number(activation)
    numpy_mlp_forward(x, weights, biases, number, False, outputs)
    doutputs, dweights, dbiases = (tuple(normal(*a.shape) for a in like) for like in (outputs, weights, biases))
    # Two products a layer, but none by the input of the first.
    flop = 2 * len(x) * (2 * sum(weight.size for weight in weights) - weights[0].size)
    kernel_or_numpy(
        mlp_backward, numpy_mlp_backward, doutputs, x, outputs, weights, number, False, dweights, dbiases, flop=flop
    )  # fmt: skip
