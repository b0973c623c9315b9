"""A stack of layers as a loop over NumPy's linear layers and activations."""

from bench.reference.activation import numpy_activation_backward, numpy_activation_forward
from bench.reference.linear import numpy_linear_backward_input, numpy_linear_backward_parameters, numpy_linear_forward


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
