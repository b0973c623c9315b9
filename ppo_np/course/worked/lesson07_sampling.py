"""Lesson 7: drawing an action from logits, by inverting the cumulative distribution.

B rows, K actions.
"""

import numpy as np
from lesson05_log_softmax import log_softmax


def categorical_sample(logits, uniforms):
    """Draw one action per row. The random numbers are given, so that the same ones give the same actions again.

    a_b = the smallest k with p_b0 + p_b1 + ... + p_bk > u_b

    If rounding leaves even the sum of all p at or below u, the last action is taken.

    Args:
        logits: l, (B, K).
        uniforms: u, (B,), in [0, 1).

    Returns:
        actions (B,), integers in [0, K); logprobs (B,): log p of these actions.
    """
    log_probs = log_softmax(logits)
    probs = np.exp(log_probs)
    cumulative = probs.cumsum(axis=1)
    passed = cumulative <= uniforms[:, None]
    counts = passed.sum(axis=1)
    actions = np.minimum(counts, logits.shape[1] - 1)
    logprobs = log_probs[np.arange(len(actions)), actions]
    return actions, logprobs
