"""Compare what an exported file computes with the policy that it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from ppo_np.environments.wrapping import rescaled_action
from ppo_np.exporting.arrays import PolicyArrays
from ppo_np.exporting.observations import flat
from ppo_np.exporting.runner import Runner
from ppo_np.learning.policy import Policy

LIMIT = 1e-5  # of a difference


@dataclass(frozen=True)
class Sample:
    """Observations, and what the policy makes of them.

    Attributes:
        flat_obs: (B, D) float32, as the exported file takes them.
        masks: (B, K) bool, or None.
        outputs: by the names of `PolicyArrays.output_names`.
    """

    flat_obs: np.ndarray
    masks: np.ndarray | None
    outputs: Mapping[str, np.ndarray]


def sample_of(
    policy: Policy, arrays: PolicyArrays, observations: Any, masks: np.ndarray | None, own_space: spaces.Box | None
) -> Sample:
    """What the policy makes of a batch of observations; actions by `predict`, in `own_space` if that is given."""
    actions = policy.predict(observations, action_mask=masks)
    outputs = {"action": rescaled_action(actions, own_space) if own_space else actions}
    outputs["value"] = policy.value(observations)
    distribution = policy.distribution(observations, masks)
    for name in arrays.output_names[2:]:
        part = distribution[name]
        joined = np.concatenate(part, axis=1) if isinstance(part, tuple) else part
        outputs[name] = joined.reshape(len(joined), -1)
    return Sample(flat(policy, observations), masks, outputs)


def differences(run: Runner, sample: Sample, arrays: PolicyArrays) -> dict[str, float]:
    """The largest difference between each output of a file and that of the policy.

    Numbers: |file - policy| / max(1, the largest |policy| of that component, its `gain` if it is an action), since
    float32 keeps seven digits of the largest number in a sum. Choices and bits: how much less probable for the policy
    the file's ones are; 0 if they are the same. A wrong shape or a number that is not finite is an infinite difference.
    """
    found = run(sample.flat_obs, sample.masks)
    result = {}
    for name, wanted in sample.outputs.items():
        given = np.asarray(found[name])
        if given.shape != wanted.shape or not np.isfinite(given).all():
            result[name] = np.inf
        elif name == "action" and arrays.is_discrete:
            result[name] = _loss_of_choice(given, sample.outputs, arrays)
        else:
            gain = arrays.numbers["gain"].reshape(arrays.shape) if name == "action" else 0
            scale = np.maximum(np.maximum(1, gain), abs(wanted).max(axis=0))
            result[name] = float((abs(given - wanted) / scale).max())
    return result


def _loss_of_choice(given: np.ndarray, outputs: Mapping[str, np.ndarray], arrays: PolicyArrays) -> float:
    """By how much the policy's probability of the given choices is below that of its own ones, at most."""
    rows = len(given)
    actions = np.reshape(given, (rows, -1)), np.reshape(outputs["action"], (rows, -1))
    probabilities = outputs["probabilities"]
    largest = 0.0
    for component, size in enumerate(arrays.sizes):
        chosen, own = (action[:, component].astype(np.int64) for action in actions)
        if arrays.kind == "bernoulli":
            share = np.stack([1 - probabilities[:, component], probabilities[:, component]], axis=1)
        else:
            start = arrays.numbers["start"][component]
            chosen, own = chosen - start, own - start
            first = sum(arrays.sizes[:component])
            share = probabilities[:, first : first + size]
        if not ((chosen >= 0) & (chosen < share.shape[1])).all():
            return float("inf")
        every = np.arange(rows)
        largest = max(largest, float((share[every, own] - share[every, chosen]).max(initial=0)))
    return largest
