import numpy as np

ACTIVATIONS = {"relu": lambda z: z * (z > 0), "tanh": np.tanh}
SLOPES = {"relu": lambda h: np.sign(h), "tanh": lambda h: (1 - h) * (1 + h)}


def mlp_forward(x, layers, activation, activate_last):
    outputs = [x]
    for weight, bias in layers:
        outputs.append(ACTIVATIONS[activation](np.einsum("bi,io->bo", outputs[-1], weight) + bias))
    if not activate_last:
        weight, bias = layers[-1]
        outputs[-1] = np.einsum("bi,io->bo", outputs[-2], weight) + bias
    return outputs


def mlp_backward(dy, outputs, layers, activation, activate_last):
    dz = dy * SLOPES[activation](outputs[-1]) if activate_last else dy
    dlayers = []
    for l in range(len(layers) - 1, 0, -1):
        dlayers.append((np.einsum("bi,bo->io", outputs[l], dz), np.einsum("bo->o", dz)))
        dz = np.einsum("bo,io->bi", dz, layers[l][0]) * SLOPES[activation](outputs[l])
    dlayers.append((np.einsum("bi,bo->io", outputs[0], dz), np.einsum("bo->o", dz)))
    return dlayers[::-1], np.einsum("bo,io->bi", dz, layers[0][0])


PLANT = {
    "activated-head": ("if not activate_last", "if False"),
    "last-never-activated": ("if not activate_last", "if True"),
    "one-activation": ("ACTIVATIONS[activation](", 'ACTIVATIONS["relu"]('),
    "reverse-order": ("dlayers[::-1]", "dlayers"),
    "no-activation-derivative": (
        "dz = dy * SLOPES[activation](outputs[-1]) if activate_last else dy",
        "dz = dy; SLOPES = {activation: np.ones_like}",
    ),
}
