"""Lesson 4: a multi-layer perceptron (MLP), and backpropagation through its layers.

B rows, L layers. layers is a list of (weight, bias), one pair for each layer: W_l is (I_l, O_l), b_l is (O_l,), and the
inputs of a layer are the outputs of the layer before it. activation is "relu" or "tanh". It follows each layer; it
follows the last layer only if activate_last is True.
"""

from lesson02_activations import relu_backward, relu_forward, tanh_backward, tanh_forward
from lesson03_linear import linear_backward, linear_forward


def _activated(layers, activate_last):
    """For each layer, whether the activation follows it."""
    return [True] * (len(layers) - 1) + [activate_last]


def mlp_forward(x, layers, activation, activate_last):
    """Forward pass of a batch through the layers. The output of each layer is kept for the backward pass.

    h_0 = x,   z_l = h_(l-1) W_l + b_l,   h_l = f(z_l),   f the activation; in the last layer h_L = z_L
    unless activate_last is True

    Args:
        x: inputs, (B, I_1).
        layers: [(W_1, b_1), ..., (W_L, b_L)].
        activation: "relu" or "tanh".
        activate_last: whether the activation follows the last layer, too.

    Returns:
        outputs, the list [x, h_1, ..., h_L] of L + 1 arrays.
    """
    forward = {"relu": relu_forward, "tanh": tanh_forward}[activation]
    active = _activated(layers, activate_last)
    outputs = [x]
    for l, (weight, bias) in enumerate(layers):
        h = linear_forward(outputs[l], weight, bias)
        if active[l]:
            h = forward(h)
        outputs.append(h)
    return outputs


def mlp_backward(dy, outputs, layers, activation, activate_last):
    """Gradient of the loss with respect to the parameters of all layers and to the input x.

    Args:
        dy: upstream gradient, the derivative of the loss with respect to h_L, (B, O_L).
        outputs: [x, h_1, ..., h_L], from the forward pass.
        layers, activation, activate_last: as in the forward pass.

    Returns:
        dlayers, the list [(dW_1, db_1), ..., (dW_L, db_L)] in the order of layers, and dx, (B, I_1).
    """
    backward = {"relu": relu_backward, "tanh": tanh_backward}[activation]
    activated = _activated(layers, activate_last)
    dlayers = []
    dh = dy
    for l in reversed(range(len(layers))):
        weight, _ = layers[l]
        dz = dh
        if activated[l]:
            dz = backward(dh, outputs[l + 1])
        dweight, dbias, dh = linear_backward(dz, outputs[l], weight)
        dlayers.insert(0, (dweight, dbias))
    return dlayers, dh
