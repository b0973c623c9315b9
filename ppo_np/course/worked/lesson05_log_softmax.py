"""Lesson 5: from logits to log-probabilities.

B rows, K actions.
"""

import numpy as np


def log_softmax(logits):
    """Log-probabilities of the actions. No logit, however large or small, may overflow.

    log p_bk = l_bk - log sum_j exp(l_bj)

    Args:
        logits: l, (B, K).

    Returns:
        log p, (B, K), <= 0.
    """
    largest = logits.max(axis=1, keepdims=True)
    shifted = logits - largest
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    return shifted - np.log(total)
