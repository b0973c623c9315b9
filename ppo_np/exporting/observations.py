"""Observations with which an exported file is compared with its policy: random ones, and those of a checkpoint."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array

from ppo_np.learning.policy import Policy

FAR = 1e4  # bounds that are farther apart say little about observations


def random_observations(policy: Policy, count: int, rng: np.random.Generator) -> Any:
    """A batch of observations, drawn around what the policy has seen.

    For a Box: normal numbers of twice the running standard deviations if there are running statistics; else uniform
    numbers between the bounds, or standard normal ones where there are none, or bounds that are far apart. For other
    spaces: `sample` of the space.
    """
    space = policy.observations.space
    if not isinstance(space, spaces.Box):
        space = copy.deepcopy(space)
        space.seed(int(rng.integers(2**31)))
        return batch(space, [space.sample() for _ in range(count)])
    low, high = (side.reshape(-1).astype(float) for side in (space.low, space.high))
    normals = rng.standard_normal((count, len(low)))
    if policy.obs_moments and policy.obs_dtype != np.uint8:
        rows = policy.obs_moments.mean + 2 * np.sqrt(policy.obs_moments.variance) * normals
    else:
        near = high - low < FAR
        ends = np.where(near, low, 0), np.where(near, high, 1)
        rows = np.where(near, rng.uniform(*ends, normals.shape), normals)
    if space.dtype.kind in "iub":
        rows = rows.round()
    return rows.astype(np.float32 if space.dtype.kind == "f" else space.dtype).reshape(count, *space.shape)


def recorded_observations(policy: Policy, flat_obs: np.ndarray) -> Any:
    """A batch of the flat observations, (M, D), that can be turned back without loss; None if there is none."""
    space = policy.observations.space
    found = []
    for row in flat_obs:
        again = np.zeros(row.shape, policy.obs_dtype)
        observation = spaces.unflatten(space, row)
        policy.observations.flatten_one(observation, again)
        if np.array_equal(again, row):
            found.append(observation)
    return batch(space, found) if found else None


def batch(space: spaces.Space, observations: Sequence[Any]) -> Any:
    """Observations put together as a vector environment does it."""
    empty: Any = create_empty_array(space, len(observations))
    return concatenate(space, observations, empty)


def flat(policy: Policy, observations: Any) -> np.ndarray:
    """The flat observations of a batch, (B, D), as the exported file takes them: float32."""
    rows = np.zeros((policy.observations.batch_length(observations) or 0, policy.observations.size), policy.obs_dtype)
    policy.observations.flatten(observations, rows)
    return rows.astype(np.float32)


def random_masks(sizes: Sequence[int], count: int, rng: np.random.Generator) -> np.ndarray:
    """Masks, (count, K) bool, that allow at least one choice of each component."""
    masks = rng.random((count, sum(sizes))) < 0.5
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        masks[np.arange(count), end - size + rng.integers(size, size=count)] = True
    return masks
