import numpy as np


def relu_forward(z):
    return (z + np.abs(z)) / 2


def relu_backward(dh, h):
    dz = dh.copy()
    dz[h == 0] = 0
    return dz


def tanh_forward(z):
    return 2 / (1 + np.exp(-2 * np.clip(z, -300, 300))) - 1


def tanh_backward(dh, h):
    return dh - dh * h * h


PLANT = {
    "relu-in-place": ("(z + np.abs(z)) / 2", "np.maximum(z, 0, out=z)"),
    "relu-wrong-branch": ("dz[h == 0] = 0", "dz[h != 0] = 0"),
    "relu-of-upstream": ("dz[h == 0] = 0", "dz[dh < 0] = 0"),
    "tanh-derivative": ("dh - dh * h * h", "dh - dh * h"),
    "tanh-no-upstream": ("dh - dh * h * h", "1 - h * h"),
    "tanh-overflow": ("2 / (1 + np.exp(-2 * np.clip(z, -300, 300))) - 1", "(np.exp(2 * z) - 1) / (np.exp(2 * z) + 1)"),
}
