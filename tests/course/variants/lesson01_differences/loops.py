import numpy as np


def numeric_gradient(f, x, h):
    slopes = []
    for i in range(x.size):
        right = x.copy()
        left = x.copy()
        right.flat[i] += h
        left.flat[i] -= h
        slopes.append((f(right) - f(left)) / (2 * h))
    return np.array(slopes).reshape(x.shape)


PLANT = {
    "one-sided": ("(f(right) - f(left)) / (2 * h)", "(f(right) - f(x)) / h"),
    "one-sided-below": ("(f(right) - f(left)) / (2 * h)", "(f(x) - f(left)) / h"),
    "divided-by-h": ("(2 * h)", "h"),
    "multiplied-by-h": ("/ (2 * h)", "/ 2 * h"),
    "not-divided": ("(f(right) - f(left)) / (2 * h)", "f(right) - f(left)"),
    "sign": ("f(right) - f(left)", "f(left) - f(right)"),
    "all-entries-at-once": ("right.flat[i] += h\n        left.flat[i] -= h", "right += h\n        left -= h"),
}
