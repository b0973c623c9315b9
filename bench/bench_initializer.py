"""Orthogonal initialisation against `np.linalg.qr`; the factorisation dominates both."""

import numpy as np
import pytest

from kernels import orthogonal


def numpy_orthogonal(normals, gain, weight):
    """Factorise, give each column the sign of its diagonal entry, transpose if the weight is wide."""
    q, u = np.linalg.qr(normals)
    q *= np.where(np.diag(u) >= 0, gain, -gain)
    weight[:] = q if weight.shape[0] >= weight.shape[1] else q.T


@pytest.mark.parametrize("shape", ["8x64", "64x64", "1024x1024"])
def test_orthogonal(kernel_or_numpy, rng, normal, sizes):
    normals = rng.standard_normal((max(sizes), min(sizes)))
    rows, columns = normals.shape
    # Householder's factorisation, and as much again for Q.
    flop = 4 * rows * columns**2 - 4 * columns**3 / 3
    kernel_or_numpy(orthogonal, numpy_orthogonal, normals, 2**0.5, normal(*sizes), flop=flop)
