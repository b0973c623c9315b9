import math

import numpy as np


def relu_forward(z):
    h = np.zeros(z.shape)
    for b in range(z.shape[0]):
        for o in range(z.shape[1]):
            if z[b, o] > 0:
                h[b, o] = z[b, o]
    return h


def relu_backward(dh, h):
    dz = np.zeros(h.shape)
    for b in range(h.shape[0]):
        for o in range(h.shape[1]):
            if h[b, o] > 0:
                dz[b, o] = dh[b, o]
    return dz


def tanh_forward(z):
    h = np.zeros(z.shape)
    for b in range(z.shape[0]):
        for o in range(z.shape[1]):
            h[b, o] = math.tanh(z[b, o])
    return h


def tanh_backward(dh, h):
    dz = np.zeros(h.shape)
    for b in range(h.shape[0]):
        for o in range(h.shape[1]):
            dz[b, o] = dh[b, o] * (1 - h[b, o] * h[b, o])
    return dz


PLANT = {
    "relu-derivative-1": ("if h[b, o] > 0", "if True"),
    "relu-wrong-branch": ("if h[b, o] > 0", "if not h[b, o] > 0"),
    "relu-of-upstream": ("if h[b, o] > 0", "if dh[b, o] > 0"),
    "relu-no-upstream": ("dz[b, o] = dh[b, o]\n", "dz[b, o] = 1\n"),
    "tanh-derivative": ("1 - h[b, o] * h[b, o]", "1 - h[b, o]"),
    "tanh-of-output": ("1 - h[b, o] * h[b, o]", "1 - math.tanh(h[b, o]) * math.tanh(h[b, o])"),
    "tanh-no-upstream": ("dh[b, o] * (1 - h[b, o] * h[b, o])", "1 - h[b, o] * h[b, o]"),
    "tanh-sign": ("1 - h[b, o] * h[b, o]", "h[b, o] * h[b, o] - 1"),
}
