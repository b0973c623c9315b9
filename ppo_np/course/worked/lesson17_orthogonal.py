"""Lesson 17: orthogonal initialisation of a weight matrix.

I inputs, O outputs. Two vectors are orthogonal if their inner product is 0.
"""

import numpy as np


def orthogonal(normals, gain, shape):
    """Weight matrix whose columns are orthogonal and of length gain; its rows, if it has fewer rows than columns.

    normals = Q U,   Q^T Q = Id,   U upper triangular with a positive diagonal;
    W = gain Q if I >= O,   W = gain Q^T if I < O

    Args:
        normals: independent standard normal numbers, (max(I, O), min(I, O)).
        gain: length of the columns or rows, > 0.
        shape: (I, O).

    Returns:
        W, (I, O).
    """
    q, u = np.linalg.qr(normals)
    signed_gain = np.copysign(gain, np.diag(u))
    weight = q * signed_gain
    if shape[0] < shape[1]:
        weight = weight.T
    return weight
