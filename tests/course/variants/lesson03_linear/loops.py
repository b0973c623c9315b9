import numpy as np


def linear_forward(x, weight, bias):
    y = np.zeros((x.shape[0], weight.shape[1]), x.dtype if x.dtype.kind == "c" else np.result_type(x, weight, bias))
    for b in range(y.shape[0]):
        for o in range(y.shape[1]):
            y[b, o] = bias[o]
            for i in range(x.shape[1]):
                y[b, o] += x[b, i] * weight[i, o]
    return y


def linear_backward(dy, x, weight):
    dweight, dbias, dx = np.zeros(weight.shape), np.zeros(dy.shape[1]), np.zeros(x.shape)
    for b in range(dy.shape[0]):
        for o in range(dy.shape[1]):
            dbias[o] += dy[b, o]
            for i in range(x.shape[1]):
                dweight[i, o] += x[b, i] * dy[b, o]
                dx[b, i] += dy[b, o] * weight[i, o]
    return dweight, dbias, dx


PLANT = {
    "weight-without-upstream": ("+= x[b, i] * dy[b, o]", "+= x[b, i]"),
    "bias-mean": ("dbias[o] += dy[b, o]", "dbias[o] += dy[b, o] / dy.shape[0]"),
    "no-bias-gradient": ("dbias[o] += dy[b, o]", "pass"),
    "weight-mean": ("+= x[b, i] * dy[b, o]", "+= x[b, i] * dy[b, o] / dy.shape[0]"),
    "no-bias": ("y[b, o] = bias[o]", "y[b, o] = 0"),
}
