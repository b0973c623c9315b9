"""How one environment is restored: its episode begins as before, and the actions since then are repeated.

Gymnasium has no way to save an environment. But an environment that depends only on its random generator and on the
actions reaches the same state again. Whether it did is checked afterwards, never assumed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ppo_np.environments.attribute_changes import Change

NO_SEED = -1
WORDS = 6
_HALF = 2**64


class EpisodeStart(NamedTuple):
    """How the present episode of an environment began.

    Attributes:
        episode: number of the episode, counted from 1.
        seed: of its reset; -1 if there was none.
        rng_then, rng_now: state of the environment's random generator before that reset, and now, (6,) uint64; None if
            it is unknown (see `rng_words`) or not needed.
    """

    episode: int
    seed: int
    rng_then: np.ndarray | None
    rng_now: np.ndarray | None


class RestorePlan(NamedTuple):
    """How to restore one environment: begin the episode like this, then do these actions, (L, ...).

    `changes` are attributes to set, each after so many of the actions, or before the reset if that number is < 0.
    """

    start: EpisodeStart
    actions: np.ndarray
    changes: Sequence[Change] = ()


class Restored(NamedTuple):
    """The state of an environment after its plan: observation, sum of the rewards, `rng_words`, and action mask."""

    obs: Any
    episodic_return: float
    rng: np.ndarray | None
    action_mask: np.ndarray | None = None


def rng_words(env: gymnasium.Env) -> np.ndarray | None:
    """State of an environment's random generator, (6,) uint64; None if it is not a PCG64, which Gymnasium uses."""
    generator = getattr(env.unwrapped, "np_random", None)
    if not isinstance(generator, np.random.Generator) or not isinstance(generator.bit_generator, np.random.PCG64):
        return None
    return generator_words(generator)


def generator_words(generator: np.random.Generator) -> np.ndarray:
    """State of a generator with a PCG64, (6,) uint64."""
    state: Any = generator.bit_generator.state
    halves = [*divmod(state["state"]["state"], _HALF), *divmod(state["state"]["inc"], _HALF)]
    return np.array([*halves, state["has_uint32"], state["uinteger"]], np.uint64)


def set_rng_words(env: gymnasium.Env, words: np.ndarray) -> None:
    """Set the state of an environment's random generator; the inverse of `rng_words`."""
    set_generator_words(env.unwrapped.np_random, words)


def set_generator_words(generator: np.random.Generator, words: np.ndarray) -> None:
    """Set the state of a generator; the inverse of `generator_words`."""
    high, low, inc_high, inc_low, has_uint32, uinteger = map(int, words)
    state = {"state": high * _HALF + low, "inc": inc_high * _HALF + inc_low}
    bits = generator.bit_generator
    bits.state = {"bit_generator": "PCG64", "state": state, "has_uint32": has_uint32, "uinteger": uinteger}
