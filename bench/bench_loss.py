"""PPO's loss and its gradient against vectorised NumPy, which stays in float32 where the kernels sum in float64."""

import numpy as np
import pytest
from shapes import every_shape

from kernels import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward

every_rows = every_shape(of=lambda rows, width: (rows,))
CLIP_COEF, ENT_COEF, VF_COEF, CLIP_VLOSS = 0.2, 0.01, 0.5, True


def numpy_ppo_loss_forward(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, terms,
):  # fmt: skip
    """Work out each term for all rows and take its mean."""
    log_ratio = logprobs - old_logprobs
    ratio = np.exp(log_ratio)
    clipped_ratio = np.clip(ratio, 1 - clip_coef, 1 + clip_coef)
    policy_loss = -np.minimum(advantages * ratio, advantages * clipped_ratio).mean()
    squares = (values - returns) ** 2
    if clip_vloss:
        squares = np.maximum(squares, (_clipped_values(values, old_values, clip_coef) - returns) ** 2)
    value_loss = 0.5 * squares.mean()
    entropy = entropies.mean()
    approx_kl = (ratio - 1 - log_ratio).mean()
    clipfrac = (np.abs(ratio - 1) > clip_coef).mean()
    loss = policy_loss - ent_coef * entropy + vf_coef * value_loss
    terms[:] = loss, policy_loss, value_loss, entropy, approx_kl, clipfrac


def numpy_ppo_loss_backward(
    dloss, logprobs, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, dlogprobs, dentropies, dvalues,
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
        clipped_errors = _clipped_values(values, old_values, clip_coef) - returns
        dvalues[(np.abs(values - old_values) > clip_coef) & (np.abs(clipped_errors) > np.abs(errors))] = 0


def _clipped_values(values, old_values, clip_coef):
    return old_values + np.clip(values - old_values, -clip_coef, clip_coef)


@pytest.fixture
def minibatch(normal, sizes):
    """Log-probabilities, values, the old ones, advantages and returns; about half of the rows leave each clip range."""
    logprobs, values, advantages, returns = (normal(*sizes) for _ in range(4))
    old_logprobs, old_values = logprobs + 0.3 * normal(*sizes), values + 0.3 * normal(*sizes)
    return logprobs, values, old_logprobs, old_values, advantages, returns


@every_rows
def test_ppo_loss_forward(kernel_or_numpy, normal, sizes, minibatch):
    logprobs, *others = minibatch
    kernel_or_numpy(
        ppo_loss_forward, numpy_ppo_loss_forward, logprobs, normal(*sizes), *others,
        CLIP_COEF, ENT_COEF, VF_COEF, CLIP_VLOSS, np.zeros(len(LOSS_TERMS)),
    )  # fmt: skip


@every_rows
def test_ppo_loss_backward(kernel_or_numpy, normal, sizes, minibatch):
    kernel_or_numpy(
        ppo_loss_backward, numpy_ppo_loss_backward, 1.0, *minibatch,
        CLIP_COEF, ENT_COEF, VF_COEF, CLIP_VLOSS, normal(*sizes), normal(*sizes), normal(*sizes),
    )  # fmt: skip
