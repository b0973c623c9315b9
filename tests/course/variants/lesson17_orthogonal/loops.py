import numpy as np


def orthogonal(normals, gain, shape):
    """Gram and Schmidt: subtract from each column its components along the earlier ones."""
    q = np.zeros(normals.shape)
    for j in range(normals.shape[1]):
        column = normals[:, j].copy()
        for i in range(j):
            column -= (q[:, i] @ column) * q[:, i]
        q[:, j] = column / np.sqrt(column @ column)
    weight = np.zeros(shape)
    for j in range(q.shape[1]):
        for i in range(q.shape[0]):
            if shape[0] >= shape[1]:
                weight[i, j] = gain * q[i, j]
            else:
                weight[j, i] = gain * q[i, j]
    return weight


PLANT = {
    "square-transposed": ("shape[0] >= shape[1]", "shape[0] > shape[1]"),
    "sign-inverted": ("/ np.sqrt(column @ column)", "/ -np.sqrt(column @ column)"),
}
