import numpy as np


def linear_forward(x, weight, bias):
    one = np.ones((len(x), 1))
    return np.hstack([one, x]) @ np.vstack([bias, weight])


def linear_backward(dy, x, weight):
    both = np.hstack([np.ones((len(x), 1)), x]).T @ dy
    dx = (weight @ dy.T).T
    return both[1:], both[0], dx


PLANT = {
    "weight-transposed-forward": (
        "np.vstack([bias, weight])",
        "np.vstack([bias, weight.T if weight.shape[0] == weight.shape[1] else weight])",
    ),
    "weight-mean": ("return both[1:]", "return both[1:] / len(x)"),
    "no-bias-gradient": ("both[0], dx", "0 * both[0], dx"),
    "weight-not-transposed": (
        "(weight @ dy.T).T",
        "((weight.T if weight.shape[0] == weight.shape[1] else weight) @ dy.T).T",
    ),
}
