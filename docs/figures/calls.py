"""The project's kernels as functions that return arrays, in float64, for the pictures."""

import numpy as np

from kernels.advantage import gae as gae_kernel
from kernels.categorical import categorical_backward, categorical_forward
from kernels.loss import ppo_loss_backward, ppo_loss_forward


def loss_and_slopes(
    logprobs=0.0, values=0.0, old_logprobs=0.0, old_values=0.0, advantages=0.0, returns=0.0, clip_coef=0.2,
    vf_coef=1.0, clip_vloss=True,
):  # fmt: skip
    """The loss without entropy bonus, and its slopes with respect to log-probabilities and values.

    Args:
        logprobs ... returns: numbers or arrays (B,).
        clip_coef, vf_coef, clip_vloss: as for the kernels.

    Returns:
        The policy loss, the value loss (means over the rows), and d log pi and dV, (B,) each.
    """
    arrays = np.broadcast_arrays(*map(np.atleast_1d, (logprobs, values, old_logprobs, old_values, advantages, returns)))
    logprobs, values, *constants = (np.array(array, dtype=np.float64) for array in arrays)
    entropies, terms = np.zeros_like(logprobs), np.zeros(6)
    ppo_loss_forward(logprobs, entropies, values, *constants, clip_coef, 0.0, vf_coef, clip_vloss, terms)
    dlogprobs, dentropies, dvalues = np.zeros((3, logprobs.size))
    ppo_loss_backward(
        1.0, logprobs, values, *constants, clip_coef, 0.0, vf_coef, clip_vloss, dlogprobs, dentropies, dvalues
    )
    return terms[1], terms[2], dlogprobs, dvalues


def categorical(logits, actions):
    """Log-softmax (B, K), log-probabilities of the actions (B,) and entropies (B,) of logits (B, K)."""
    log_probs, (logprobs, entropies) = np.zeros_like(logits), np.zeros((2, len(logits)))
    categorical_forward(logits, actions, log_probs, logprobs, entropies)
    return log_probs, logprobs, entropies


def dlogits(logits, actions, dlogprobs, dentropies):
    """Gradient with respect to logits (B, K) from the upstream gradients (B,) of log-probability and entropy."""
    log_probs, _, entropies = categorical(logits, actions)
    gradient = np.zeros_like(logits)
    categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, gradient)
    return gradient


def gae(rewards, values, gamma, gae_lambda, terminated_at=None):
    """Advantages (T,) of one environment.

    Args:
        rewards: (T,).
        values: (T+1,).
        gamma, gae_lambda: in [0, 1].
        terminated_at: the step in which an episode ends in a terminal state, or None.
    """
    terminations = np.zeros((len(rewards), 1), bool)
    if terminated_at is not None:
        terminations[terminated_at] = True
    final_values, advantages, returns = np.zeros((3, len(rewards), 1))
    truncations = np.zeros_like(terminations)
    columns = rewards[:, np.newaxis], values[:, np.newaxis], final_values
    gae_kernel(*columns, terminations, truncations, gamma, gae_lambda, advantages, returns)
    return advantages[:, 0]
