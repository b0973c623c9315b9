import numpy as np


def normalize(advantages):
    if advantages.size == 1:
        return +advantages
    centered = advantages - np.einsum("b->", advantages) / advantages.size
    return centered / (np.sqrt(np.einsum("b,b->", centered, centered) / advantages.size) + 1e-8)


def update_moments(x, count, mean, variance):
    """Chan, Golub and LeVeque: the batch's own moments, and the distance of the means."""
    rows = len(x)
    total = count + rows
    batch_mean = x[0] + np.einsum("bd->d", x - x[0]) / rows
    centered = x - batch_mean
    batch_squares = np.einsum("bd,bd->d", centered, centered)
    delta = batch_mean - mean
    squares = count * variance + batch_squares + delta**2 * count * rows / total
    return total, (mean + delta * rows / total if count else batch_mean), squares / total


PLANT = {
    "no-eps": ("advantages.size) + 1e-8)", "advantages.size))"),
    "bessel": ("centered) / advantages.size", "centered) / (advantages.size - 1)"),
}
