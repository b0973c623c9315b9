"""What a step of a vector environment gave: rewards, ends, and the episodes that ended."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ppo_np.environments.observed import Observed

LARGEST = 1e15  # squares of observations and returns, and sums of these squares, must fit into float32


class Episode(NamedTuple):
    """A finished episode: the sum of its rewards and the number of its steps."""

    episodic_return: float
    episodic_length: int


class Transition(NamedTuple):
    """The results of one step of N environments.

    Attributes:
        rewards: (N,) floats, 0 in reset rows. terminations, truncations: (N,) bool.
        valid: (N,) bool, False in reset rows, where the environment ignored the action and was only reset.
        final: the last observations of episodes that ended, (N,) objects; None if no episode ended or in the mode
            NEXT_STEP.
        episodes: those that ended.
        infos: for each of these, the numbers that its last info had under the info keys; or empty.
    """

    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
    valid: np.ndarray
    final: Observed | None
    episodes: list[Episode]
    infos: Sequence[dict[str, float]] = ()


def final_obs_of(infos: Any) -> Any:
    """The last observations of episodes that ended, in the mode SAME_STEP; None if there are none.

    They are in the dict `infos`, or, as older libraries give it, in a list with a dict for each environment.
    """
    if isinstance(infos, dict):
        return infos.get("final_obs")
    if not isinstance(infos, list | tuple) or not all(isinstance(info, dict) for info in infos):
        return None
    finals = np.full(len(infos), None, object)
    for n, info in enumerate(infos):
        finals[n] = info.get("final_obs", info.get("terminal_observation"))
    return finals if any(final is not None for final in finals) else None
