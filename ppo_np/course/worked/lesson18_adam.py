"""Lesson 18: clipping the gradient by its global norm, and Adam.

P parameters in one flat vector.
"""

import numpy as np


def clip_by_global_norm(grads, max_norm):
    """Scale all tensors of a gradient down together, so that the norm of the whole gradient is at most max_norm.

    |g| = sqrt(sum over all numbers of all tensors of g^2),   g <- g max_norm / |g|   if |g| > max_norm

    Args:
        grads: list of arrays of any shapes.
        max_norm: > 0.

    Returns:
        A list of new arrays of the same shapes.
    """
    norm = np.sqrt(sum((grad**2).sum() for grad in grads))
    factor = max_norm / norm if norm > max_norm else 1.0
    return [grad * factor for grad in grads]


def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    """One step of Adam (Kingma and Ba 2015).

    m' = beta1 m + (1 - beta1) g,   v' = beta2 v + (1 - beta2) g^2
    theta' = theta - lr mhat / (sqrt(vhat) + eps),   mhat = m' / (1 - beta1^k),   vhat = v' / (1 - beta2^k)

    Args:
        params: theta, (P,).
        grads: g, (P,).
        m, v: first and second moment, (P,) each; 0 before the first step.
        step: k, counted from 1.
        learning_rate: lr.
        beta1, beta2: in [0, 1).
        eps: > 0.

    Returns:
        params, m, v: new arrays, (P,) each.
    """
    m = beta1 * m + (1 - beta1) * grads
    v = beta2 * v + (1 - beta2) * grads**2
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    params = params - learning_rate * m_hat / (np.sqrt(v_hat) + eps)
    return params, m, v
