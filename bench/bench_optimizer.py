"""Gradient clipping and Adam against NumPy, over 9,797 parameters (a small network) and the article's 1,063,941."""

from functools import partial

import numpy as np
import pytest

from kernels import adam, clip_by_global_norm, global_norm

SHAPES = ["9797", "1063941"]


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


@pytest.mark.parametrize("shape", SHAPES)
def test_global_norm(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(global_norm, numpy_global_norm, normal(*sizes))


@pytest.mark.parametrize("shape", SHAPES)
def test_clip_by_global_norm(kernel_or_numpy, normal, sizes):
    grads = normal(*sizes)
    # Timed with a scale that rounds to 1: halved at every call, the gradient would soon be subnormal, and slow.
    barely = (grads, 1.0 + 1e-12, 1.0)
    kernel_or_numpy(clip_by_global_norm, numpy_clip_by_global_norm, grads, 2.0, 1.0, timed=barely)


@pytest.mark.parametrize("shape", SHAPES)
def test_adam(kernel_or_numpy, normal, sizes):
    params, grads, m, v = normal(*sizes), normal(*sizes), normal(*sizes), np.abs(normal(*sizes))
    numpy_version = partial(numpy_adam, scratch=np.empty_like(params))
    kernel_or_numpy(adam, numpy_version, params, grads, m, v, 10, 2.5e-4, 0.9, 0.999, 1e-5)
