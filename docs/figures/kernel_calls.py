"""The kernels for one number or a few, as the figures need them: inputs in, results back."""

import numpy as np

from kernels.categorical import categorical_backward, categorical_forward
from kernels.loss import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward

CLIP = 0.2
ZERO = np.zeros(1)


def policy_loss(ratio: float, advantage: float, clip_coef: float = CLIP) -> tuple[float, float]:
    """Policy loss of one row, and its slope with respect to log pi.

    Args:
        ratio: rho > 0.
        advantage: A.
        clip_coef: epsilon.
    """
    logprobs, advantages, terms = np.log([ratio]), np.array([float(advantage)]), np.zeros(6)
    dlogprobs, dentropies, dvalues = np.zeros((3, 1))
    ppo_loss_forward(logprobs, ZERO, ZERO, ZERO, ZERO, advantages, ZERO, clip_coef, 0.0, 0.0, False, CLIP, terms)
    ppo_loss_backward(
        1.0, logprobs, ZERO, ZERO, ZERO, advantages, ZERO, clip_coef, 0.0, 0.0, False, CLIP,
        dlogprobs, dentropies, dvalues,
    )  # fmt: skip
    return terms[LOSS_TERMS.index("policy_loss")], dlogprobs[0]


def value_loss(value: float, target: float, clip_vloss: bool = True) -> tuple[float, float]:
    """Value loss of one row whose old value is 0, and its slope with respect to V.

    Args:
        value: V.
        target: R.
        clip_vloss: whether the loss is clipped.
    """
    values, returns, terms = np.array([float(value)]), np.array([float(target)]), np.zeros(6)
    dlogprobs, dentropies, dvalues = np.zeros((3, 1))
    ppo_loss_forward(ZERO, ZERO, values, ZERO, ZERO, ZERO, returns, CLIP, 0.0, 1.0, clip_vloss, CLIP, terms)
    ppo_loss_backward(
        1.0, ZERO, values, ZERO, ZERO, ZERO, returns, CLIP, 0.0, 1.0, clip_vloss, CLIP, dlogprobs, dentropies, dvalues
    )
    return terms[LOSS_TERMS.index("value_loss")], dvalues[0]


def categorical(logits: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """log p (B, K), log pi (B,) and entropies (B,) of logits (B, K) and actions (B,)."""
    log_probs, logprobs, entropies = np.empty_like(logits), np.empty(len(logits)), np.empty(len(logits))
    categorical_forward(logits, actions, log_probs, logprobs, entropies)
    return log_probs, logprobs, entropies


def logits_gradient(logits: np.ndarray, actions: np.ndarray, dlogprobs: np.ndarray, dentropies: np.ndarray):
    """Gradient with respect to logits (B, K), for upstream gradients (B,) of log pi and of the entropy."""
    log_probs, _, entropies = categorical(logits, actions)
    dlogits = np.empty_like(logits)
    categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits)
    return dlogits
