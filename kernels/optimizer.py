"""Gradient clipping by global norm, and Adam, over one flat vector of all P parameters."""

import math

import numpy as np

from kernels._jit import kernel


@kernel
def global_norm(grads):
    """Euclidean norm of the whole gradient. The sum is in float64.

    |g| = sqrt(sum_p g_p^2)

    Derivation: docs/gradients.md, "Clipping by global norm".

    Args:
        grads: g, (P,).

    Returns:
        The norm, a float64.
    """
    total = 0.0
    for p in range(grads.shape[0]):
        total += np.float64(grads[p]) * np.float64(grads[p])
    return math.sqrt(total)


@kernel
def clip_by_global_norm(grads, norm, max_norm):
    """Scale the gradient down to the largest allowed norm, without changing its direction. Modified in place.

    g <- g max_norm / |g|    if |g| > max_norm   (Pascanu et al. 2013, algorithm 1)

    Derivation: docs/gradients.md, "Clipping by global norm".

    Args:
        grads: g, (P,), modified in place.
        norm: |g|, from `global_norm`.
        max_norm: > 0; infinity never clips.
    """
    if norm > max_norm:
        scale = grads.dtype.type(max_norm / norm)
        for p in range(grads.shape[0]):
            grads[p] *= scale


@kernel
def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    """One step of Adam with bias correction (Kingma and Ba 2015, algorithm 1). Modified in place: params, m, v.

    m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2
    theta <- theta - lr mhat / (sqrt(vhat) + eps),   mhat = m / (1 - beta1^k),   vhat = v / (1 - beta2^k)

    m becomes 0 below tiny / epsilon (1e-31 in float32), before its products are subnormal. v becomes 0 below tiny, the
    smallest normal number. Otherwise the moments of units that have died would become subnormal and stay there, and
    some processors are many times slower with subnormal numbers.

    Derivation: docs/gradients.md, "Adam".

    Args:
        params: theta, (P,), modified in place.
        grads: g, (P,).
        m, v: first and second moment, (P,) each, modified in place; 0 before the first step.
        step: k, counted from 1.
        learning_rate: lr.
        beta1, beta2: decay rates in [0, 1).
        eps: > 0, added outside the square root.
    """
    real = params.dtype.type
    beta1_, beta2_, eps_ = real(beta1), real(beta2), real(eps)
    rest1, rest2 = real(1.0 - beta1), real(1.0 - beta2)
    rate = real(learning_rate / (1.0 - beta1**step))
    correction2 = real(1.0 / (1.0 - beta2**step))
    smallest2 = np.finfo(params.dtype).tiny
    smallest1, zero = smallest2 / np.finfo(params.dtype).eps, real(0)
    for p in range(params.shape[0]):
        first = beta1_ * m[p] + rest1 * grads[p]
        second = beta2_ * v[p] + rest2 * grads[p] * grads[p]
        m[p] = zero if abs(first) < smallest1 else first
        v[p] = zero if abs(second) < smallest2 else second
        params[p] -= rate * m[p] / (math.sqrt(v[p] * correction2) + eps_)
