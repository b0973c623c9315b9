import numpy as np


def orthogonal(normals, gain, shape):
    q, u = np.linalg.qr(normals)
    q = np.einsum("ij,j->ij", q, np.sign(np.diagonal(u)))
    return gain * (q if q.shape == tuple(shape) else np.einsum("ij->ji", q))


PLANT = {
    "wrong-side": ('np.einsum("ij,j->ij", q,', 'np.einsum("ij,i->ij", q, '),
    "reshaped": ('np.einsum("ij->ji", q)', "q.reshape(shape)"),
    "no-gain": ("return gain * ", "return "),
    "divided-by-gain": ("return gain * ", "return 1 / gain * "),
    "diagonal-for-sign": ("np.sign(np.diagonal(u))", "np.diagonal(u)"),
    "sign-of-diagonal": ("np.sign(np.diagonal(u))", "np.ones(len(u))"),
}
