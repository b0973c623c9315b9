import numpy as np


def policy_loss(logprobs, old_logprobs, advantages, clip_coef):
    r = np.exp(logprobs) / np.exp(old_logprobs)
    objective = np.minimum(advantages * r, advantages * np.clip(r, 1 - clip_coef, 1 + clip_coef))
    return -np.einsum("b->", objective) / len(r)


def policy_loss_backward(dloss, logprobs, old_logprobs, advantages, clip_coef):
    r = np.exp(logprobs) * np.exp(-old_logprobs)
    bound = np.where(advantages > 0, 1 + clip_coef, 1 - clip_coef)
    live = np.where(advantages > 0, r <= bound + 1e-15, r >= bound - 1e-15)
    return np.einsum("b,b,b->b", live.astype(float), advantages, r) * (-dloss / len(r))


PLANT = {
    "min-for-max": ("np.minimum(", "np.maximum("),
    "no-upstream": ("(-dloss / len(r))", "(-1 / len(r))"),
    "no-clip": ("live.astype(float)", "np.ones(len(r))"),
}
