"""Lesson 21, an extra: action masks. The policy chooses among the valid actions of a row only.

B rows, K actions.
"""

import numpy as np
from lesson05_log_softmax import log_softmax


def masked_categorical_forward(logits, mask, actions):
    """Log-probability of the given valid actions, and the entropy of each row.

    p_bk = exp(l_bk) / sum_j exp(l_bj)   for valid k, p_bk = 0 for invalid k
    log pi_b = log p_b(a_b),   H_b = - sum_k p_bk log p_bk

    All sums run over the valid actions of the row. The logit of an invalid action can be any finite number.

    Args:
        logits: l, (B, K).
        mask: (B, K), booleans, True where an action is valid. Every row has a valid action.
        actions: a, (B,), integers in [0, K), all of them valid.

    Returns:
        log_probs (B, K): log p, -inf for invalid actions, kept for the backward pass; logprobs (B,): log pi;
        entropies (B,): H, in nats.
    """
    valid_logits = np.where(mask, logits, -np.inf)
    log_probs = log_softmax(valid_logits)
    logprobs = log_probs[np.arange(len(actions)), actions]
    finite = np.where(mask, log_probs, 0)
    entropies = -(np.exp(log_probs) * finite).sum(axis=1)
    return log_probs, logprobs, entropies


def masked_categorical_backward(dlogprobs, dentropies, mask, actions, log_probs, entropies):
    """Gradient of the loss with respect to all logits, those of invalid actions included.

    dl_bk = dlogpi_b (d log pi_b / d l_bk) + dH_b (d H_b / d l_bk)

    Args:
        dlogprobs: dlogpi, upstream gradient of log pi, (B,).
        dentropies: dH, upstream gradient of H, (B,).
        mask: (B, K), as in the forward pass.
        actions: a, (B,), as in the forward pass.
        log_probs: log p, (B, K), from the forward pass: -inf for invalid actions.
        entropies: H, (B,), from the forward pass.

    Returns:
        dlogits (B, K).
    """
    rows = np.arange(len(actions))
    probs = np.exp(log_probs)
    finite = np.where(mask, log_probs, 0)
    dlogits = -dlogprobs[:, None] * probs
    dlogits -= dentropies[:, None] * probs * (finite + entropies[:, None])
    dlogits[rows, actions] += dlogprobs
    return dlogits


def masked_categorical_sample(logits, mask, uniforms):
    """Draw one valid action per row, as in lesson 7. No invalid action may ever be drawn.

    a_b = the smallest k with p_b0 + p_b1 + ... + p_bk > u_b

    If rounding leaves even the sum of all p at or below u, the last valid action is taken.

    Args:
        logits: l, (B, K).
        mask: (B, K), as in masked_categorical_forward.
        uniforms: u, (B,), in [0, 1).

    Returns:
        actions (B,), integers in [0, K); logprobs (B,): log p of these actions.
    """
    log_probs = log_softmax(np.where(mask, logits, -np.inf))
    cumulative = np.exp(log_probs).cumsum(axis=1)
    counts = (cumulative <= uniforms[:, None]).sum(axis=1)
    last_valid = logits.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    actions = np.minimum(counts, last_valid)
    return actions, log_probs[np.arange(len(actions)), actions]
