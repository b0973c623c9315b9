"""Gradient clipping and Adam in NumPy, in place."""

from functools import cache

import numpy as np


def numpy_global_norm(grads):
    """NumPy's own norm; it sums in float32, the kernel in float64."""
    return np.linalg.norm(grads)


def numpy_clip_by_global_norm(grads, norm, max_norm):
    """Scale in place if need be."""
    if norm > max_norm:
        grads *= max_norm / norm


@cache
def scratch_space(size, dtype):
    """An array that is allocated once."""
    return np.empty(size, dtype)


def numpy_adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    """Everything in place, with one array of scratch space."""
    scratch = scratch_space(params.size, params.dtype)
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
