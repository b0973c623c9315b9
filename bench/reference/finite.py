"""The search for numbers out of range in NumPy."""

import numpy as np


def numpy_first_outside(x, limit):
    """The largest magnitude settles it if all is well; only then are places looked for."""
    if np.abs(x).max() <= limit:
        return -1
    return int(np.flatnonzero(~(np.abs(x) <= limit))[0])


def numpy_all_finite(x):
    """An array of truth values, and whether all are true."""
    return bool(np.isfinite(x).all())
