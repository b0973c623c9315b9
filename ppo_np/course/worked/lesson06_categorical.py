"""Lesson 6: the log-probability and the entropy of a categorical distribution, and their gradient.

B rows, K actions.
"""

import numpy as np
from lesson05_log_softmax import log_softmax


def categorical_forward(logits, actions):
    """Log-probability of the given actions, and the entropy of each row.

    log pi_b = log p_b(a_b),   H_b = - sum_k p_bk log p_bk

    Args:
        logits: l, (B, K).
        actions: a, (B,), integers in [0, K).

    Returns:
        log_probs (B, K): log p, kept for the backward pass; logprobs (B,): log pi; entropies (B,): H, in nats.
    """
    log_probs = log_softmax(logits)
    logprobs = log_probs[np.arange(len(actions)), actions]
    entropies = -(np.exp(log_probs) * log_probs).sum(axis=1)
    return log_probs, logprobs, entropies


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies):
    """Gradient of the loss with respect to the logits: through the log-probability and through the entropy.

    A logit of row b touches two numbers of the loss, log pi_b and H_b; the derivatives of these two are asked for:

    dl_bk = dlogpi_b (d log pi_b / d l_bk) + dH_b (d H_b / d l_bk)

    Args:
        dlogprobs: dlogpi, upstream gradient of log pi, (B,).
        dentropies: dH, upstream gradient of H, (B,).
        actions: a, (B,), integers in [0, K).
        log_probs: log p, (B, K), from the forward pass.
        entropies: H, (B,), from the forward pass.

    Returns:
        dlogits (B, K).
    """
    rows = np.arange(len(actions))
    probs = np.exp(log_probs)
    dlogits = -dlogprobs[:, None] * probs
    dlogits -= dentropies[:, None] * probs * (log_probs + entropies[:, None])
    dlogits[rows, actions] += dlogprobs
    return dlogits
