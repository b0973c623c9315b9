"""What brings one environment back to where it was: how its episode began, and the actions since.

Gymnasium has no way to save an environment. But one whose every move depends on its random generator and on the actions
alone can be led again to where it was. Whether it is such a one is checked afterwards, never assumed.
"""

from typing import Any, NamedTuple

import gymnasium
import numpy as np

from ppo_np.environments.film import Film

NO_SEED = -1
WORDS = 6
_HALF = 2**64


class EpisodeStart(NamedTuple):
    """How the present episode of an environment began.

    Attributes:
        episode: 1 for the first, 2, ...
        seed: that it was reset with; -1 if with none.
        rng_then, rng_now: state of its random generator before that reset, and now, (6,) uint64; None if it has none of
            the usual kind.
    """

    episode: int
    seed: int
    rng_then: np.ndarray | None
    rng_now: np.ndarray | None


class RestorePlan(NamedTuple):
    """How to bring one environment back: begin like this, then do these actions, (L, ...)."""

    start: EpisodeStart
    actions: np.ndarray


class Restored(NamedTuple):
    """Where an environment stands after its plan: observation, sum of the rewards, state of the generator (6,)."""

    obs: Any
    episodic_return: float
    rng: np.ndarray


def rng_words(env: gymnasium.Env) -> np.ndarray | None:
    """State of an environment's random generator as (6,) uint64; None if that is no PCG64, which Gymnasium gives."""
    generator = getattr(env.unwrapped, "np_random", None)
    if not isinstance(generator, np.random.Generator):
        return None
    state = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        return None
    numbers = state["state"]["state"], state["state"]["inc"]
    halves = [half for number in numbers for half in divmod(number, _HALF)]
    return np.array([*halves, state["has_uint32"], state["uinteger"]], np.uint64)


def set_rng_words(env: gymnasium.Env, words: np.ndarray) -> None:
    """Give an environment's random generator the state that `rng_words` told."""
    high, low, inc_high, inc_low, has_uint32, uinteger = map(int, words)
    env.unwrapped.np_random.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high * _HALF + low, "inc": inc_high * _HALF + inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }


def set_film_episode(env: gymnasium.Env, episode: int) -> None:
    """Let a film of the next episode bear the number `episode` (1 is the first, which Gymnasium calls 0)."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, Film):
            env.set_next_episode(episode)
        env = env.env
