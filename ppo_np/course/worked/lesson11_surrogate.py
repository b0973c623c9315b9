"""Lesson 11: PPO's clipped policy loss and its gradient.

B rows. The ratio is rho_b = exp(log pi_b - log pi_old_b), epsilon is the clip range.
"""

import numpy as np
from lesson10_ratio import ratio


def policy_loss(logprobs, old_logprobs, advantages, clip_coef):
    """Mean of the larger one of two losses: with the ratio, and with the ratio clipped.

    L = mean_b max(-A_b rho_b, -A_b clip(rho_b, 1-epsilon, 1+epsilon))

    Args:
        logprobs: log pi with the current parameters, (B,).
        old_logprobs: log pi_old, from the rollout, (B,).
        advantages: A, (B,).
        clip_coef: epsilon > 0.

    Returns:
        The loss, a number.
    """
    r = ratio(logprobs, old_logprobs)
    clipped = np.where(r > 1 + clip_coef, 1 + clip_coef, np.where(r < 1 - clip_coef, 1 - clip_coef, r))
    unclipped_loss = -advantages * r
    clipped_loss = -advantages * clipped
    return np.where(unclipped_loss >= clipped_loss, unclipped_loss, clipped_loss).mean()


def policy_loss_backward(dloss, logprobs, old_logprobs, advantages, clip_coef):
    """Gradient of the policy loss with respect to the log-probabilities. The advantages are constants.

    On the edges, rho_b = 1-epsilon and rho_b = 1+epsilon, take the slope of the unclipped loss.

    Args:
        dloss: upstream gradient of the loss, a number.
        logprobs, old_logprobs, advantages, clip_coef: as in the forward pass.

    Returns:
        dlogprobs (B,).
    """
    r = ratio(logprobs, old_logprobs)
    slope = -advantages * r
    too_high = (r > 1 + clip_coef) & (advantages > 0)
    too_low = (r < 1 - clip_coef) & (advantages < 0)
    slope = np.where(too_high | too_low, 0, slope)
    return dloss * slope / len(r)
