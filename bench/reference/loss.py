"""PPO's loss and its gradient in vectorised NumPy, in the dtype of its arguments where the kernels sum in float64."""

import numpy as np


def numpy_ppo_loss_forward(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef, terms,
):  # fmt: skip
    """Work out each term for all rows and take its mean."""
    log_ratio = logprobs - old_logprobs
    ratio = np.exp(log_ratio)
    clipped_ratio = np.clip(ratio, 1 - clip_coef, 1 + clip_coef)
    policy_loss = -np.minimum(advantages * ratio, advantages * clipped_ratio).mean()
    squares = (values - returns) ** 2
    if clip_vloss:
        squares = np.maximum(squares, (_clipped_values(values, old_values, value_clip_coef) - returns) ** 2)
    value_loss = 0.5 * squares.mean()
    entropy = entropies.mean()
    approx_kl = (ratio - 1 - log_ratio).mean()
    clipfrac = (np.abs(ratio - 1) > clip_coef).mean()
    loss = policy_loss - ent_coef * entropy + vf_coef * value_loss
    terms[:] = loss, policy_loss, value_loss, entropy, approx_kl, clipfrac


def numpy_ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, value_clip_coef, dlogprobs, dentropies, dvalues,
):  # fmt: skip
    """Work out the gradient for all rows and set it to zero where the loss is flat."""
    scale = dloss / len(logprobs)
    ratio = np.exp(logprobs - old_logprobs)
    np.multiply(-scale * advantages, ratio, out=dlogprobs)
    dlogprobs[((ratio > 1 + clip_coef) & (advantages > 0)) | ((ratio < 1 - clip_coef) & (advantages < 0))] = 0
    dentropies.fill(-scale * ent_coef)
    errors = values - returns
    np.multiply(scale * vf_coef, errors, out=dvalues)
    if clip_vloss:
        clipped_errors = _clipped_values(values, old_values, value_clip_coef) - returns
        dvalues[(np.abs(values - old_values) > value_clip_coef) & (np.abs(clipped_errors) > np.abs(errors))] = 0


def _clipped_values(values, old_values, value_clip_coef):
    return old_values + np.clip(values - old_values, -value_clip_coef, value_clip_coef)
