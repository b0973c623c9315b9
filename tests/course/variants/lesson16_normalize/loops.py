import math

import numpy as np


def normalize(advantages):
    rows = len(advantages)
    if rows == 1:
        return np.array(advantages)
    mean = sum(advantages) / rows
    variance = 0.0
    for a in advantages:
        variance += (a - mean) ** 2 / rows
    return np.array([(a - mean) / (math.sqrt(variance) + 1e-8) for a in advantages])


def update_moments(x, count, mean, variance):
    mean, variance = mean.copy(), variance.copy()
    if count == 0:
        mean, variance = x[0].copy(), np.zeros(x.shape[1])
        count, x = 1, x[1:]
    for row in x:
        count += 1
        change = row - mean
        mean += change / count
        variance += (change * (row - mean) - variance) / count
    return count, mean, variance


PLANT = {
    "bessel": ("variance += (a - mean) ** 2 / rows", "variance += (a - mean) ** 2 / (rows - 1)"),
    "variance-for-std": ("math.sqrt(variance)", "variance"),
    "one-row": ("return np.array(advantages)\n    mean", "return np.zeros(1)\n    mean"),
}
