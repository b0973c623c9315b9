"""Lesson 1: the gradient of a function by central differences.

The function takes an array and returns a number. Its gradient has the shape of the array.
"""

import numpy as np


def numeric_gradient(f, x, h):
    """Derivative of f with respect to each entry of x, by central differences.

    g_i = (f(x + h e_i) - f(x - h e_i)) / 2h,   e_i is 1 at entry i and 0 at all others

    Args:
        f: function of an array with the shape of x; returns a number.
        x: the point, an array of any shape, float64. After the call it holds exactly the numbers it had before.
        h: step, > 0.

    Returns:
        g, an array with the shape of x.
    """
    gradient = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        saved = x[place]
        x[place] = saved + h
        above = f(x)
        x[place] = saved - h
        below = f(x)
        x[place] = saved
        gradient[place] = (above - below) / (2 * h)
    return gradient
