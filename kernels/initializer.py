"""Orthogonal initialisation of weight matrices."""

import numpy as np

from kernels._jit import kernel


@kernel
def orthogonal(normals, gain, weight):
    """Fill a weight matrix with a random orthogonal matrix times a gain (Saxe et al. 2014).

    W = gain Q   with   normals = Q U,   Q^T Q = Id,   U upper triangular with a positive diagonal

    The positive diagonal of U makes Q uniformly distributed (Mezzadri 2007). If I < O, this formula gives W^T instead
    of W. So the columns of W, or its rows if it has fewer of them, are orthogonal and have the length `gain`.

    Derivation: docs/gradients.md, "Orthogonal initialisation".

    Args:
        normals: independent standard normal numbers, (max(I, O), min(I, O)), float64.
        gain: factor, for instance sqrt(2) before a ReLU.
        weight: W, output, (I, O), overwritten.
    """
    q, u = np.linalg.qr(normals)
    for j in range(q.shape[1]):
        sign = gain if u[j, j] >= 0.0 else -gain
        for i in range(q.shape[0]):
            if weight.shape[0] >= weight.shape[1]:
                weight[i, j] = sign * q[i, j]
            else:
                weight[j, i] = sign * q[i, j]
