"""The product that is computed tile by tile, by `np.dot`."""

import numpy as np


def numpy_product(a, b, start, c):
    """Multiply into the output, then add the row in place."""
    np.dot(a, b, out=c)
    np.add(c, start, out=c)
