import numpy as np


def policy_loss(logprobs, old_logprobs, advantages, clip_coef):
    """max(-A r, -A clip(r)) = -A r + the part beyond the edge, where the edge counts."""
    r = np.exp(logprobs - old_logprobs)
    above, below = r - (1 + clip_coef), (1 - clip_coef) - r
    loss = -advantages * r
    loss = loss + np.where((advantages > 0) & (above.real > 0), advantages * above, 0)
    loss = loss - np.where((advantages < 0) & (below.real > 0), advantages * below, 0)
    return loss.sum() / loss.size


def policy_loss_backward(dloss, logprobs, old_logprobs, advantages, clip_coef):
    r = np.exp(logprobs - old_logprobs)
    moved_well = np.sign(advantages) * (r - 1) > clip_coef
    dratio = -advantages / len(r) * dloss
    dratio[moved_well] = 0
    return dratio * r


PLANT = {
    "clip-both-sides": ("np.sign(advantages) * (r - 1) > clip_coef", "abs(r - 1) > clip_coef"),
    "no-ratio": ("return dratio * r", "return dratio"),
    "swapped-logprobs": (
        "    r = np.exp(logprobs - old_logprobs)\n    moved_well",
        "    r = np.exp(old_logprobs - logprobs)\n    moved_well",
    ),
}
