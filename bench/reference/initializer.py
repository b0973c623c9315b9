"""Orthogonal initialisation by `np.linalg.qr`."""

import numpy as np


def numpy_orthogonal(normals, gain, weight):
    """Factorise, give each column the sign of its diagonal entry, transpose if the weight is wide."""
    q, u = np.linalg.qr(normals)
    q *= np.where(np.diag(u) >= 0, gain, -gain)
    weight[:] = q if weight.shape[0] >= weight.shape[1] else q.T
