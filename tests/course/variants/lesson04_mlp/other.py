from lesson02_activations import relu_backward, relu_forward, tanh_backward, tanh_forward
from lesson03_linear import linear_backward, linear_forward


def mlp_forward(x, layers, activation, activate_last):
    forward = {"relu": relu_forward, "tanh": tanh_forward}[activation]
    (weight, bias), *rest = layers
    h = linear_forward(x, weight, bias)
    if rest or activate_last:
        h = forward(h)
    if not rest:
        return [x, h]
    return [x, *mlp_forward(h, rest, activation, activate_last)]


def mlp_backward(dy, outputs, layers, activation, activate_last):
    x, h, *_ = outputs
    first, *rest = layers
    dlayers = []
    if rest:
        dlayers, dy = mlp_backward(dy, outputs[1:], rest, activation, activate_last)
    backward = relu_backward if activation == "relu" else tanh_backward
    dz = backward(dy, h) if rest or activate_last else dy
    dweight, dbias, dx = linear_backward(dz, x, first[0])
    return [(dweight, dbias), *dlayers], dx


PLANT = {
    "activated-head": ("    if rest or activate_last:\n        h = forward(h)", "    h = forward(h)"),
    "no-activation": ("    if rest or activate_last:", "    if not rest and activate_last:"),
    "activated-head-backward": ("dz = backward(dy, h) if rest or activate_last else dy", "dz = backward(dy, h)"),
    "layer-shift-activation": ("dz = backward(dy, h) if", "dz = backward(dy, x) if"),
    "upstream-not-passed-on": ("dlayers, dy = mlp_backward", "dlayers, _ = mlp_backward"),
    "reverse-order": ("[(dweight, dbias), *dlayers], dx", "[*dlayers, (dweight, dbias)], dx"),
}
