import numpy as np


def orthogonal(normals, gain, shape):
    """Q = Z U^(-1) with the Cholesky factor of Z^T Z = U^T U, whose diagonal is positive."""
    lower = np.linalg.cholesky(normals.T @ normals)
    transposed = gain * np.linalg.solve(lower, normals.T)
    return transposed if shape[0] < shape[1] else transposed.T


PLANT = {
    "not-orthogonal": ("np.linalg.solve(lower, normals.T)", "normals.T"),
    "gain-squared": ("gain * np", "gain * gain * np"),
    "no-gain": ("gain * np", "np"),
    "square-transposed": ("shape[0] < shape[1]", "shape[0] <= shape[1]"),
}
