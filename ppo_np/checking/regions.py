"""The regions of the loss: where each row of a minibatch lies in the surrogate and in the value loss."""

import numpy as np

from ppo_np.checking.branches import SURROGATE_REGIONS
from ppo_np.config import PPOConfig
from ppo_np.network.minibatch import Minibatch

NO_ADVANTAGE = "A=0: flat"
NO_CLIP = "no clip"


def ratios(logprobs: np.ndarray, minibatch: Minibatch) -> np.ndarray:
    """The probability ratios, (B,), in float64, from the log-probabilities, (B,)."""
    return np.exp(np.float64(logprobs) - np.float64(minibatch.old_logprobs))


def clipped(values: np.ndarray, old_values: np.ndarray, value_clip: float) -> np.ndarray:
    """The clipped values Vc, (B,), in float64."""
    change = np.float64(values) - np.float64(old_values)
    inside = np.abs(change) <= value_clip
    return np.where(inside, np.float64(values), np.float64(old_values) + np.copysign(value_clip, change))


def regions_of(logprobs: np.ndarray, minibatch: Minibatch, config: PPOConfig) -> list[str]:
    """For each row one of the `SURROGATE_REGIONS`, or `NO_ADVANTAGE`. The edges belong to the inside."""
    ratio, advantages = ratios(logprobs, minibatch), minibatch.advantages
    side = 1 - (ratio < 1 - config.clip_coef) + (ratio > 1 + config.clip_coef)
    number = side + 3 * (advantages < 0)
    return [SURROGATE_REGIONS[n] if a else NO_ADVANTAGE for n, a in zip(number, advantages, strict=True)]


def value_branches_of(values: np.ndarray, minibatch: Minibatch, config: PPOConfig) -> list[str]:
    """For each row the branch of the value loss, such as "V>Vold, outside: flat". The edges belong to the inside."""
    if not config.clip_vloss:
        return [NO_CLIP] * minibatch.rows
    change = np.float64(values) - np.float64(minibatch.old_values)
    error = np.abs(np.float64(values) - minibatch.returns)
    clipped_error = np.abs(clipped(values, minibatch.old_values, config.value_clip) - minibatch.returns)
    outside, flat = np.abs(change) > config.value_clip, clipped_error > error
    branches = []
    for sign, out, zero in zip(np.sign(change).astype(int), outside, flat, strict=True):
        branches.append(f"V{'=><'[sign]}Vold, {'outside' if out else 'inside'}{': flat' if zero else ''}")
    return branches


def chosen_rows(regions: list[str], branches: list[str], count: int) -> np.ndarray:
    """The rows to show, at most `count`: while there are rows in new regions, one of those, then in new branches."""
    left = list(range(len(regions)))
    chosen: list[int] = []
    seen: set[str] = set()
    while left and len(chosen) < count:
        best = max(left, key=lambda b: 2 * (regions[b] not in seen) + (branches[b] not in seen))  # the first such row
        seen |= {regions[best], branches[best]}
        chosen.append(best)
        left.remove(best)
    return np.array(chosen)
