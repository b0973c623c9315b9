"""A whole tower, 8 inputs - two hidden layers - 4 outputs, against the same loop over NumPy's layers."""

import numpy as np

from bench.kernels.cases import benchmark_of, every_shape
from bench.reference.mlp import numpy_mlp_forward
from kernels.activation import activation_number
from kernels.mlp import mlp_backward, mlp_forward


def forward(draw, b, hidden, activation):
    """Weights are scaled so that the numbers neither grow nor fade."""
    widths = (8, hidden), (hidden, hidden), (hidden, 4)
    weights = tuple(draw(i, o) / np.float32(i**0.5) for i, o in widths)
    biases, outputs = tuple(draw(o) for _, o in widths), tuple(draw(b, o) for _, o in widths)
    return draw(b, 8), weights, biases, activation_number(activation), False, outputs


def backward(draw, b, hidden, activation):
    x, weights, biases, number, last, outputs = saved = forward(draw, b, hidden, activation)
    numpy_mlp_forward(*saved)
    doutputs, dweights, dbiases = (tuple(draw(*a.shape) for a in like) for like in (outputs, weights, biases))
    return doutputs, x, outputs, weights, number, last, dweights, dbiases


test_mlp_forward = benchmark_of(mlp_forward, every_shape(), forward, "relu", "tanh")
test_mlp_backward = benchmark_of(mlp_backward, every_shape(), backward, "relu", "tanh")
