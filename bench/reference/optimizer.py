"""Gradient clipping and Adam in NumPy, in place."""

import numpy as np


def numpy_global_norm(grads):
    """NumPy's own norm; it sums in float32, the kernel in float64."""
    return np.linalg.norm(grads)


def numpy_clip_by_global_norm(grads, norm, max_norm):
    """Scale in place if need be."""
    if norm > max_norm:
        grads *= max_norm / norm


def numpy_adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps, *, scratch):
    """Everything in place, with one array of scratch space that is allocated once."""
    m *= beta1
    np.multiply(grads, 1 - beta1, out=scratch)
    m += scratch
    v *= beta2
    np.multiply(grads, grads, out=scratch)
    scratch *= 1 - beta2
    v += scratch
    np.multiply(v, 1 / (1 - beta2**step), out=scratch)
    np.sqrt(scratch, out=scratch)
    scratch += eps
    np.divide(m, scratch, out=scratch)
    scratch *= learning_rate / (1 - beta1**step)
    params -= scratch
