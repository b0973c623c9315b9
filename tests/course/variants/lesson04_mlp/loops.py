import numpy as np
from lesson03_linear import linear_backward


def mlp_forward(x, layers, activation, activate_last):
    outputs = [x]
    for l in range(len(layers)):
        weight, bias = layers[l]
        z = np.zeros((len(x), len(bias)))
        for b in range(z.shape[0]):
            for o in range(z.shape[1]):
                z[b, o] = bias[o]
                for i in range(weight.shape[0]):
                    z[b, o] += outputs[l][b, i] * weight[i, o]
                if l != len(layers) - 1 or activate_last:
                    z[b, o] = max(z[b, o], 0) if activation == "relu" else np.tanh(z[b, o])
        outputs.append(z)
    return outputs


def mlp_backward(dy, outputs, layers, activation, activate_last):
    count = len(layers)
    dlayers = [None] * count
    upstream = dy.copy()
    for l in reversed(range(count)):
        activated = l != count - 1 or activate_last
        for b in range(upstream.shape[0]):
            for o in range(upstream.shape[1]):
                h = outputs[l + 1][b, o]
                if activated and activation == "relu" and h <= 0:
                    upstream[b, o] = 0
                if activated and activation == "tanh":
                    upstream[b, o] *= 1 - h * h
        dweight, dbias, upstream = linear_backward(upstream, outputs[l], layers[l][0])
        dlayers[l] = (dweight, dbias)
    return dlayers, upstream


PLANT = {
    "activated-head": ("if l != len(layers) - 1 or activate_last", "if True"),
    "last-never-activated": ("if l != len(layers) - 1 or activate_last", "if l != len(layers) - 1"),
    "activated-head-backward": ("activated = l != count - 1 or activate_last", "activated = True"),
    "no-activation-derivative": ("activated = l != count - 1 or activate_last", "activated = False"),
    "layer-shift": ("linear_backward(upstream, outputs[l], ", "linear_backward(upstream, outputs[l + 1], "),
    "reverse-order": ("dlayers[l] = ", "dlayers[count - 1 - l] = "),
}
