"""A whole tower, 8 inputs - two hidden layers - 4 outputs, against the same loop over NumPy's layers."""

import numpy as np

from bench.kernels.cases import Case, benchmark_of, every_shape
from bench.reference.mlp import numpy_mlp_backward, numpy_mlp_forward
from kernels.activation import activation_number
from kernels.mlp import mlp_backward, mlp_forward

INPUTS, OUTPUTS = 8, 4


@benchmark_of(every_shape(), "relu", "tanh")
def test_mlp_forward(draw, b, hidden, activation):
    """Weights are scaled so that the numbers neither grow nor fade."""
    widths = (INPUTS, hidden), (hidden, hidden), (hidden, OUTPUTS)
    weights = tuple(draw(i, o) / np.float32(i**0.5) for i, o in widths)
    biases, outputs = tuple(draw(o) for _, o in widths), tuple(draw(b, o) for _, o in widths)
    arguments = draw(b, INPUTS), weights, biases, activation_number(activation), False, outputs
    return Case(mlp_forward, numpy_mlp_forward, arguments, flop=2 * b * sum(weight.size for weight in weights))


@benchmark_of(every_shape(), "relu", "tanh")
def test_mlp_backward(draw, b, hidden, activation):
    x, weights, biases, number, last, outputs = saved = test_mlp_forward.case(draw, b, hidden, activation).arguments
    numpy_mlp_forward(*saved)
    doutputs, dweights, dbiases = (tuple(draw(*a.shape) for a in like) for like in (outputs, weights, biases))
    # Two products a layer, but no gradient with respect to the input of the first.
    flop = 2 * b * (2 * sum(weight.size for weight in weights) - weights[0].size)
    arguments = doutputs, x, outputs, weights, number, last, dweights, dbiases
    return Case(mlp_backward, numpy_mlp_backward, arguments, flop=flop)
