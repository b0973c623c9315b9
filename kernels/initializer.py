"""Orthogonal initialisation of weight matrices."""

import numpy as np

from kernels._jit import kernel


@kernel
def orthogonal(normals, gain, weight):
    """Fill a weight matrix with a random orthogonal one times a gain (Saxe et al. 2014).

    W = gain Q   with   normals = Q U,   Q^T Q = 1,   U upper triangular with a positive diagonal

    The sign convention for U makes Q uniformly distributed (Mezzadri 2007). If I < O, W^T is filled that way instead,
    so that the shorter side's vectors are orthogonal, each of length `gain`.

    Derivation: docs/gradients.md, "Orthogonal initialisation".

    Args:
        normals: independent standard normal numbers, (max(I, O), min(I, O)), float64.
        gain: factor, for instance sqrt(2) in front of a ReLU.
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
