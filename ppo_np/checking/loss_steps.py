"""The first step of the backward pass, from the loss to log-probabilities, entropies and values, and its mistakes."""

import numpy as np

from ppo_np.checking.branches import grouped_rows
from ppo_np.checking.gradient_step import BackwardPass, Step


def loss_steps(p: BackwardPass) -> dict[str, Step]:
    """The steps to the three gradients (B,), by the names of their rows in the report."""
    regions, branches = grouped_rows(p.minibatch, p.activations, p.config)
    return {
        "policy_loss/dlogprobs": _surrogate_step(p, regions),
        "entropy/dentropies": _entropy_step(p),
        "value_loss/dvalues": _value_step(p, branches),
    }


def _surrogate_step(p: BackwardPass, regions: dict[str, np.ndarray]) -> Step:
    """dlogpi_b = -A_b rho_b / B, but 0 where the clipped branch is the larger one."""
    rows, e, advantages = p.minibatch.rows, p.config.clip_coef, p.minibatch.advantages
    rho = np.exp(p.activations.distribution.logprobs - p.minibatch.old_logprobs)
    high, low, positive, negative = rho > 1 + e, rho < 1 - e, advantages > 0, advantages < 0
    flat = high & positive | low & negative
    swapped = 1 / rho
    flat_swapped = (swapped > 1 + e) & positive | (swapped < 1 - e) & negative
    says_swapped = "old and new log-probability are swapped: 1/r instead of r"

    def slope(ratio: np.ndarray | float, zero: np.ndarray | bool) -> np.ndarray:
        return np.where(zero, 0, -advantages * ratio / rows)

    mistakes = [
        ("the ratio is missing: -A/B instead of -A r/B", slope(1, flat)),
        ("the clip is missing: it is not 0 where the clipped branch is taken", slope(rho, False)),
        ("the ratio and the clip are missing: -A/B everywhere", slope(1, False)),
        ("it is 0 on both sides of the clip range: the sign of A decides on which", slope(rho, high | low)),
        ("it is 0 on the wrong side of the clip range", slope(rho, high & negative | low & positive)),
        (says_swapped, slope(swapped, flat_swapped)),
        (says_swapped, slope(swapped, flat)),
        ("the clipped ratio stands in it instead of the ratio", slope(np.clip(rho, 1 - e, 1 + e), False)),
    ]  # fmt: skip
    return Step(slope(rho, flat), rows, mistakes, groups=regions)


def _entropy_step(p: BackwardPass) -> Step:
    """dH_b = -c_H / B."""
    ones = np.ones(p.minibatch.rows) / p.minibatch.rows
    right = -p.config.ent_coef * ones
    mistakes = [("ent_coef is missing", -ones), ("it is 2 times the right one", 2 * right)]  # the same if it is 1/2
    return Step(right, p.minibatch.rows, mistakes)


def _value_step(p: BackwardPass, branches: dict[str, np.ndarray]) -> Step:
    """dV_b = c_V (V_b - R_b) / B, but 0 where the clipped value has the larger error."""
    rows, e, vf_coef = p.minibatch.rows, p.config.value_clip, p.config.vf_coef
    old_values = p.minibatch.old_values
    change = p.activations.values - old_values
    error = p.activations.values - p.minibatch.returns
    clipped_error = old_values + np.clip(change, -e, e) - p.minibatch.returns
    outside = np.abs(change) > e

    def flat_with(clip_range: float) -> np.ndarray:
        farther = np.abs(old_values + np.clip(change, -clip_range, clip_range) - p.minibatch.returns) > np.abs(error)
        return (np.abs(change) > clip_range) & farther

    clipped = flat_with(e)
    flat = clipped if p.config.clip_vloss else np.zeros(rows, bool)

    def slope(errors: np.ndarray, zero: np.ndarray | bool) -> np.ndarray:
        return np.where(zero, 0, errors * vf_coef / rows)

    clip = "the clip is missing: it is not 0 where the clipped value has the larger error"
    wherever = "the clipped error stands in it wherever the value is outside"
    mistakes = [
        (clip, slope(error, False)),
        ("it is clipped although clip_vloss is off", slope(error, clipped)),
        ("it is 0 wherever the value is outside: the larger error decides", slope(error, outside)),
        ("the smaller of the two errors decides instead of the larger one", slope(error, outside & ~clipped)),
        ("the clipped error stands in it where it must be 0", slope(np.where(clipped, clipped_error, error), False)),
        (wherever, slope(np.where(outside, clipped_error, error), False)),
        ("the square's derivative lacks its factor 1/2", 2 * slope(error, flat)),
        ("vf_coef is missing", np.where(flat, 0, error / rows)),
        ("the value is clipped with clip_coef instead of value_clip_coef", slope(error, flat_with(p.config.clip_coef))),
    ]  # fmt: skip
    return Step(slope(error, flat), rows, mistakes, groups=branches)
