import numpy as np


def normalize(advantages):
    if len(advantages) > 1:
        return (advantages - np.mean(advantages)) / (1e-8 + np.std(advantages))
    return advantages * 1.0


def update_moments(x, count, mean, variance):
    """Everything relative to the first new row, so that no large number is squared."""
    origin = x[0]
    shifted = x - origin
    old = mean - origin
    total = count + len(x)
    first = (count * old + shifted.sum(axis=0)) / total
    second = (count * (variance + (old - first) ** 2) + ((shifted - first) ** 2).sum(axis=0)) / total
    return total, origin + first, second


PLANT = {
    "no-shift": ("(advantages - np.mean(advantages))", "advantages"),
    "no-shift-of-mean": ("(variance + (old - first) ** 2)", "variance"),
    "bessel": ("np.std(advantages)", "np.std(advantages, ddof=1)"),
}
