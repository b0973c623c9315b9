import math

import numpy as np


def clip_by_global_norm(grads, max_norm):
    total = 0.0
    for grad in grads:
        for g in np.ravel(grad):
            total += g * g
    norm = math.sqrt(total)
    if norm <= max_norm:
        return [grad.copy() for grad in grads]
    return [grad / norm * max_norm for grad in grads]


def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    new_params, new_m, new_v = params.copy(), m.copy(), v.copy()
    for p, g in enumerate(grads):
        new_m[p] = beta1 * m[p] + (1 - beta1) * g
        new_v[p] = beta2 * v[p] + (1 - beta2) * g * g
        first = new_m[p] / (1 - beta1**step)
        second = new_v[p] / (1 - beta2**step)
        new_params[p] -= learning_rate * first / (math.sqrt(second) + eps)
    return new_params, new_m, new_v


PLANT = {
    "norm-without-root": ("norm = math.sqrt(total)", "norm = total"),
    "no-bias-correction": ("first = new_m[p] / (1 - beta1**step)", "first = new_m[p]"),
    "no-bias-correction-v": ("second = new_v[p] / (1 - beta2**step)", "second = new_v[p]"),
    "eps-under-root": ("(math.sqrt(second) + eps)", "math.sqrt(second + eps)"),
    "step-from-0": ("beta1**step)", "beta1 ** (step + 1))"),
}
