import numpy as np


def relu_forward(z):
    return np.einsum("bo,bo->bo", z, np.heaviside(z, 0.0))


def relu_backward(dh, h):
    return np.einsum("bo,bo->bo", dh, np.heaviside(h, 0.0))


def tanh_forward(z):
    small = np.exp(-2 * np.abs(z))
    return np.sign(z) * (1 - small) / (1 + small)


def tanh_backward(dh, h):
    return np.einsum("bo,bo->bo", dh, (1 - h) * (1 + h))


PLANT = {
    "relu-derivative-1": ("np.heaviside(h, 0.0)", "np.heaviside(h, 1.0)"),
    "relu-of-upstream": ("np.heaviside(h, 0.0)", "np.heaviside(dh, 0.0)"),
    "tanh-derivative": ("(1 - h) * (1 + h)", "(1 - h)"),
    "tanh-sign": ("(1 - h) * (1 + h)", "(h - 1) * (h + 1)"),
}
