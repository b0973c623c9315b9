"""Points at which a gradient is checked: networks and minibatches far from where they were collected."""

from typing import NamedTuple

import numpy as np

from kernels.advantage import normalize
from ppo_np.checking.numerical_check import draw_masks, separate_noise
from ppo_np.config import PPOConfig
from ppo_np.network.action_head import ActionHead
from ppo_np.network.activations import Activations
from ppo_np.network.continuous import Beta, Squashed, StateGaussian, StateSquashed
from ppo_np.network.distributions import Bernoulli, Categorical, Gaussian, MultiCategorical
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic

NETWORKS = {
    "shared": {"shared_sizes": (5, 4), "policy_sizes": (), "value_sizes": ()},
    "private": {"shared_sizes": (), "policy_sizes": (4,), "value_sizes": (3,)},
    "both": {"shared_sizes": (5,), "policy_sizes": (4,), "value_sizes": (3, 4)},
    "heads only": {"shared_sizes": (), "policy_sizes": (), "value_sizes": ()},
}
BOUNDS = (-2.0, 0.0), (1.0, 5.0)
HEADS = {
    "Discrete": ActionHead(Categorical, (4,)),
    "MultiDiscrete": ActionHead(MultiCategorical, (3, 2, 4)),
    "MultiBinary": ActionHead(Bernoulli, (1, 1, 1)),
    "Box": ActionHead(Gaussian, (1, 1)),
    "Discrete, masks": ActionHead(Categorical, (4,), masked=True),
    "MultiDiscrete, masks": ActionHead(MultiCategorical, (3, 2, 4), masked=True),
}
# Tested with fewer networks and settings, because they only add kernels and no path of their own.
CONTINUOUS = {
    "log_std of the state": ActionHead(StateGaussian, (2, 2)),
    "squashed": ActionHead(Squashed, (1, 1), bounds=BOUNDS),
    "squashed, log_std of the state": ActionHead(StateSquashed, (2, 2), bounds=BOUNDS),
    "Beta": ActionHead(Beta, (2, 2), bounds=BOUNDS),
}
OBS_SIZE, ROWS = 3, 48


class Point(NamedTuple):
    """A network, a minibatch and its activations in float64, and the settings of the loss."""

    model: ActorCritic
    minibatch: Minibatch
    activations: Activations
    config: PPOConfig


def off_policy_point(config: PPOConfig, seed: int, head=HEADS["Discrete"], obs_size=OBS_SIZE, rows=ROWS) -> Point:
    """Draw a point where ratios and values have moved by up to three clip ranges, either way.

    At ratio 1 and V = V_old, where a run begins, a wrong ratio and a missing clip look right. Advantages are normalised
    if the settings ask for it.
    """
    rng = np.random.default_rng(seed)
    model = ActorCritic(obs_size, head, config, rng, np.float64)
    model.params[:] += 0.3 * rng.standard_normal(model.params.size) / np.sqrt(model.params.size / 50)
    minibatch, activations = model.minibatch(rows), model.activations(rows)
    distribution, values = activations.distribution, activations.values
    minibatch.obs[:] = rng.standard_normal(minibatch.obs.shape)
    model.forward(minibatch.obs, activations)
    if minibatch.action_mask is not None:
        draw_masks(minibatch.action_mask, head.sizes, rng)
    distribution.sample(activations.policy_outputs, rng, minibatch.action_mask)
    minibatch.actions[:] = distribution.actions
    if isinstance(distribution, StateSquashed):
        separate_noise(minibatch.actions)
    distribution.forward(activations.policy_outputs, minibatch.actions, minibatch.action_mask)
    minibatch.old_logprobs[:] = distribution.logprobs + rng.uniform(-0.6, 0.6, rows)
    minibatch.old_values[:] = values + rng.uniform(-0.6, 0.6, rows)
    minibatch.advantages[:] = 2 * rng.standard_normal(rows)
    if config.norm_adv:
        normalize(minibatch.advantages, minibatch.advantages)
    minibatch.returns[:] = values + rng.standard_normal(rows)
    return Point(model, minibatch, activations, config)


def branches(point: Point) -> np.ndarray:
    """Which side of each kink every row and every unit is on, after a forward pass."""
    sides = [ratio_sides(point), *value_sides(point)]
    return np.concatenate(
        sides + [h.reshape(-1) > 0 for outputs in point.activations.outputs.values() for h in outputs]
    )


def ratio_sides(point: Point) -> np.ndarray:
    """0, 1, 2 for a ratio below, inside, above the clip range, (B,)."""
    e, logprobs = point.config.clip_coef, point.activations.distribution.logprobs
    return np.digitize(np.exp(logprobs - point.minibatch.old_logprobs), [1 - e, 1 + e])


def value_sides(point: Point) -> tuple[np.ndarray, np.ndarray]:
    """Whether the value left the clip range, and whether it did and the clipped error is the larger one, (B,) each."""
    minibatch, values, e = point.minibatch, point.activations.values, point.config.value_clip
    change = values - minibatch.old_values
    clipped = minibatch.old_values + np.clip(change, -e, e)
    outside = np.abs(change) > e
    return outside, outside & (np.abs(clipped - minibatch.returns) > np.abs(values - minibatch.returns))


def surrogate_regions(point: Point) -> dict[tuple[bool, int], int]:
    """Rows in each region: (advantage is positive, ratio is 0 below, 1 inside, 2 above the clip range) -> count."""
    return count(point.minibatch.advantages > 0, ratio_sides(point))


def value_branches(point: Point) -> dict[tuple[bool, bool], int]:
    """Rows in each branch: (value left the clip range, the clipped error is larger) -> count."""
    return count(*value_sides(point))


def count(*labels: np.ndarray) -> dict:
    """How often each combination of labels occurs."""
    combinations, counts = np.unique(np.stack(labels, axis=1), axis=0, return_counts=True)
    return {tuple(one.tolist()): int(number) for one, number in zip(combinations, counts, strict=True)}
