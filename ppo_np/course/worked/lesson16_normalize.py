"""Lesson 16: normalised advantages, and running moments.

B rows, D columns.
"""

import numpy as np


def normalize(advantages):
    """Shift and scale advantages to mean 0 and standard deviation 1. A single advantage is not changed.

    A'_b = (A_b - mean A) / (std A + 1e-8),   std A = sqrt(1/B sum_b (A_b - mean A)^2)

    Args:
        advantages: A, (B,).

    Returns:
        A', (B,).
    """
    if len(advantages) == 1:
        return advantages.copy()
    deviations = advantages - advantages.mean()
    std = np.sqrt((deviations**2).mean())
    return deviations / (std + 1e-8)


def update_moments(x, count, mean, variance):
    """Mean and variance (1/n) of all rows so far, from those of the earlier rows and a batch of new rows.

    The earlier rows themselves are not known any more. Their values can be near 1e8 with a spread of 1.

    Args:
        x: the new rows, (B, D).
        count: n, the number of earlier rows; 0 at the start.
        mean: mean of the earlier rows, (D,); it has no meaning if count is 0.
        variance: variance of the earlier rows, (D,); it has no meaning if count is 0.

    Returns:
        count (a number), mean (D,), variance (D,), of all rows.
    """
    total = count + len(x)
    new_mean = mean + (x - mean).sum(axis=0) / total
    earlier = count * (variance + (new_mean - mean) ** 2)
    new = ((x - new_mean) ** 2).sum(axis=0)
    return total, new_mean, (earlier + new) / total
