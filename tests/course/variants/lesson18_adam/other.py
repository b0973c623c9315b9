import numpy as np


def clip_by_global_norm(grads, max_norm):
    norm = np.linalg.norm([np.linalg.norm(np.ravel(grad)) for grad in grads])
    if norm > max_norm:
        grads = [max_norm * (grad / norm) for grad in grads]
    return [np.array(grad) for grad in grads]


def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    """The corrections taken together, as in section 2 of the paper."""
    m = m + (1 - beta1) * (grads - m)
    v = v + (1 - beta2) * (grads**2 - v)
    root = np.sqrt(1 - beta2**step)
    rate = learning_rate * root / (1 - beta1**step)
    return params - rate * m / (np.sqrt(v) + eps * root), m, v


PLANT = {
    "largest-norm": (
        "norm = np.linalg.norm([np.linalg.norm(np.ravel(grad)) for grad in grads])",
        "norm = max(np.linalg.norm(np.ravel(grad)) for grad in grads)",
    ),
    "norm-per-tensor": (
        "max_norm * (grad / norm) for grad in grads]",
        "max_norm * grad / max(max_norm, np.linalg.norm(grad)) for grad in grads]",
    ),
    "swapped-betas": ("m + (1 - beta1) * (grads - m)", "m + (1 - beta2) * (grads - m)"),
}
