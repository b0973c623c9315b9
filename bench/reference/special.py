"""log Gamma and its derivatives in vectorised NumPy: Stirling's series ten steps up, whatever the number."""

import math

import numpy as np

STEPS = np.arange(10.0)


def _series(s, *coefficients):
    """sum_k c_k s^k."""
    return np.polynomial.polynomial.polyval(s, coefficients)


def numpy_log_gamma(x):
    """Always take ten steps up, whose logarithms are subtracted."""
    up = x + 10
    s = 1 / up**2
    series = _series(s, 1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
    total = np.log(np.add.outer(x, STEPS)).sum(axis=-1)
    return (up - 0.5) * np.log(up) - up + 0.5 * math.log(2 * math.pi) + series / up - total


def numpy_digamma(x):
    """Always take ten steps up, whose reciprocals are subtracted."""
    up = x + 10
    s = 1 / up**2
    series = _series(s, 0, 1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760)
    return np.log(up) - 0.5 / up - series - (1 / np.add.outer(x, STEPS)).sum(axis=-1)


def numpy_trigamma(x):
    """Always take ten steps up, whose squared reciprocals are added."""
    up = x + 10
    s = 1 / up**2
    series = _series(s, 1, 1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)
    return series / up + 0.5 * s + (np.add.outer(x, STEPS) ** -2.0).sum(axis=-1)
