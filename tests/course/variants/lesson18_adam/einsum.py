import numpy as np


def clip_by_global_norm(grads, max_norm):
    flat = np.concatenate([np.ravel(grad) for grad in grads])
    norm = np.sqrt(np.einsum("p,p->", flat, flat))
    flat = flat * min(1.0, max_norm / max(norm, 1e-300))
    ends = np.cumsum([np.size(grad) for grad in grads])[:-1]
    return [part.reshape(np.shape(grad)) for part, grad in zip(np.split(flat, ends), grads, strict=True)]


def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    moments = np.stack([m, v])
    betas = np.array([beta1, beta2])
    moments = betas[:, None] * moments + (1 - betas)[:, None] * np.stack([grads, grads * grads])
    corrected = np.einsum("kp,k->kp", moments, 1 / (1 - betas**step))
    return params - learning_rate * corrected[0] / (corrected[1] ** 0.5 + eps), moments[0], moments[1]


PLANT = {
    "uphill": ("params - learning_rate", "params + learning_rate"),
    "no-square": ("grads * grads])", "abs(grads)])"),
    "corrected-moment-kept": ("eps), moments[0],", "eps), corrected[0],"),
}
