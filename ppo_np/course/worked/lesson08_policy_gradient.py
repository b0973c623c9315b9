"""Lesson 8: the policy gradient, with a baseline.

B rows, K actions. Row b is one decision: the logits in that state, the action that was drawn, the return that followed.
"""

import numpy as np
from lesson06_categorical import categorical_backward, categorical_forward


def policy_gradient(logits, actions, returns, baselines):
    """Gradient with respect to the logits of the loss whose gradient descent raises the expected return.

    L = - 1/B sum_b (G_b - c_b) log pi_b,   log pi_b = log p_b(a_b)

    Returns and baselines are constants: only log pi is differentiated.

    Args:
        logits: l, (B, K).
        actions: a, (B,), integers in [0, K).
        returns: G, (B,): the sum of the rewards after the action.
        baselines: c, (B,): a number for each row that does not depend on the action.

    Returns:
        dlogits (B, K).
    """
    log_probs, logprobs, entropies = categorical_forward(logits, actions)
    weights = returns - baselines
    dlogprobs = -weights / len(actions)
    dentropies = np.zeros_like(logprobs)
    return categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies)
