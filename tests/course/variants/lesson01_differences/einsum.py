import numpy as np


def numeric_gradient(f, x, h):
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    moved = np.concatenate([x + steps, x - steps])
    values = np.array([f(point) for point in moved])
    weights = np.concatenate([np.eye(x.size), -np.eye(x.size)]) / (2 * h)
    return np.einsum("p,pi->i", values, weights).reshape(x.shape)


PLANT = {
    "divided-by-h": ("/ (2 * h)", "/ h"),
    "sign": ("x + steps, x - steps", "x - steps, x + steps"),
    "all-entries-at-once": (
        "np.eye(x.size).reshape(x.size, *x.shape)",
        "np.ones((x.size, x.size)).reshape(x.size, *x.shape)",
    ),
}
