"""A guard around one environment: what goes wrong inside is told with the environment's index."""

import numbers
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium import spaces

from ppo_np.environments.env_restore import (
    NO_SEED,
    EpisodeStart,
    Restored,
    RestorePlan,
    rng_words,
    set_film_episode,
    set_rng_words,
)
from ppo_np.errors import EnvironmentFault

LONGEST_REPR = 200


class Guard(gymnasium.Wrapper):
    """Passes everything through, and turns exceptions and malformed observations and rewards into `EnvironmentFault`.

    Args:
        env: any environment.
        index: its number in the vector environment.

    Attributes:
        takes_integers: whether actions may be Python's integers instead of NumPy's.
        busy: whether the environment is at work just now. calls: how often it was.
        episodes: how many were begun.
    """

    def __init__(self, env: gymnasium.Env, index: int):
        super().__init__(env)
        self.index = index
        self.busy, self.calls = False, 0
        self.episodes, self._seed, self._rng_then = 0, NO_SEED, None
        self.takes_integers = isinstance(env.action_space, spaces.Discrete) and _is_gymnasiums(env)
        space = env.observation_space
        self._shape, self._dtype = (space.shape, space.dtype) if isinstance(space, spaces.Box) else (None, None)

    def reset(self, **kwargs):
        """As the environment's.

        Raises:
            EnvironmentFault: It raised an exception, or its observation is malformed.
        """
        self.busy = True
        self.calls += 1
        self.episodes += 1
        seed = kwargs.get("seed")
        self._seed, self._rng_then = (NO_SEED, rng_words(self.env)) if seed is None else (seed, None)
        try:
            obs, info = self.env.reset(**kwargs)
        except EnvironmentFault:
            raise
        except (Exception, SystemExit) as error:
            raise EnvironmentFault(f"environment {self.index} raised {describe(error)} in its reset") from error
        finally:
            self.busy = False
        self._check_obs(obs)
        return obs, info

    def step(self, action):
        """As the environment's.

        Raises:
            EnvironmentFault: It raised an exception, or its observation or reward is malformed.
        """
        self.busy = True
        self.calls += 1
        try:
            obs, reward, terminated, truncated, info = self.env.step(int(action) if self.takes_integers else action)
            ended = bool(terminated) or bool(truncated)
        except EnvironmentFault:
            raise
        except (Exception, SystemExit) as error:
            raise EnvironmentFault(f"environment {self.index} raised {describe(error)}") from error
        finally:
            self.busy = False
        if type(obs) is not np.ndarray or obs.dtype != self._dtype or obs.shape != self._shape:
            self._check_obs(obs)
        if not isinstance(reward, float):
            self._check_reward(reward)
        if ended:
            obs = deepcopy(obs)  # the reset that follows may write into the same arrays
        return obs, reward, terminated, truncated, info

    def episode_start(self) -> EpisodeStart:
        """How the present episode began."""
        return EpisodeStart(self.episodes, self._seed, self._rng_then, rng_words(self.env))

    def restore(self, plans: Sequence[RestorePlan | None]) -> Restored | None:
        """Lead the environment through the plan that stands at its index; None if that is not possible."""
        plan = plans[self.index]
        if plan is None:
            return None
        try:
            return self._follow(plan)
        except (EnvironmentFault, TypeError, ValueError, OverflowError):  # its generator is of another kind now
            return None

    def _follow(self, plan: RestorePlan) -> Restored | None:
        start = plan.start
        self.episodes = start.episode - 1
        set_film_episode(self.env, start.episode)
        if start.seed != NO_SEED:
            obs, _ = self.reset(seed=start.seed)
        else:
            set_rng_words(self.env, start.rng_then)
            obs, _ = self.reset()
        episodic_return = 0.0
        for action in plan.actions:
            obs, reward, terminated, truncated, _ = self.step(action)
            if terminated or truncated:
                return None
            episodic_return += float(reward)
        return Restored(obs, episodic_return, rng_words(self.env))

    def reset_unrestored(self, plans: Sequence[RestorePlan | None], which: Sequence[bool]):
        """Begin another episode if `which` says so at its index, going on with the generator; the observation, or None.

        Raises:
            EnvironmentFault: As `reset`.
        """
        if not which[self.index]:
            return None
        plan = plans[self.index]
        if plan is not None:
            self.episodes = plan.start.episode
            set_film_episode(self.env, plan.start.episode + 1)
            if plan.start.rng_now is not None:
                with suppress(TypeError, ValueError, OverflowError):
                    set_rng_words(self.env, plan.start.rng_now)
        return self.reset()[0]

    def close(self) -> None:
        """As the environment's; an exception is only a warning, since nothing depends on the environment any more."""
        try:
            self.env.close()
        except (Exception, SystemExit) as error:
            warnings.warn(f"environment {self.index} raised {describe(error)} in its close", RuntimeWarning, 2)

    def _check_obs(self, obs) -> None:
        wrong = misfit(obs, self.observation_space)
        if wrong:
            given, allowed = wrong
            raise EnvironmentFault(f"environment {self.index} gave an observation {given}, but it must be {allowed}")

    def _check_reward(self, reward) -> None:
        scalar = reward[()] if isinstance(reward, np.ndarray) and reward.ndim == 0 else reward
        if isinstance(scalar, numbers.Real | np.bool_):
            with suppress(OverflowError):  # an integer beyond any float
                float(scalar)
                return
        raise EnvironmentFault(f"environment {self.index} gave the reward {short(reward)}, but it must be a number")


def _is_gymnasiums(env: gymnasium.Env) -> bool:
    """Whether it is one of Gymnasium's own, inside and out: those take Python's integers, and are quicker with them."""
    while isinstance(env, gymnasium.Wrapper) and type(env).__module__.startswith("gymnasium.wrappers."):
        env = env.env
    return type(env).__module__.startswith("gymnasium.envs.")


def misfit(obs, space: gymnasium.Space, part: str = "") -> tuple[str, str] | None:
    """What an observation is and what it must be, or None if it can be used.

    The numbers of a Box may be of another type that can be cast to the space's, and out of its bounds.
    """
    where = f"whose part {part} is " if part else ""
    if isinstance(space, spaces.Dict) and isinstance(obs, Mapping) and obs.keys() == space.spaces.keys():
        parts = [(obs[key], space[key], f"{part}[{key!r}]") for key in space.spaces]
    elif isinstance(space, spaces.Tuple) and isinstance(obs, tuple | list) and len(obs) == len(space.spaces):
        parts = [(obs[i], space[i], f"{part}[{i}]") for i in range(len(obs))]
    elif isinstance(space, spaces.Box):
        try:
            array = np.asarray(obs)
        except ValueError:  # rows of different lengths
            array = np.asarray(None)
        if array.shape == space.shape and np.can_cast(array.dtype, space.dtype, "same_kind"):
            return None
        given = f"{where}of shape {array.shape} and type {array.dtype}"
        return given, f"of shape {space.shape} and type {space.dtype}"
    else:
        return None if space.contains(obs) else (f"{where}{short(obs)}", f"in {short(space)}")
    return next(filter(None, (misfit(*one) for one in parts)), None)


def describe(error: BaseException) -> str:
    """An exception on one line: type, message, and the file and line where it was raised."""
    message = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if message else ''}{message}{place}"


def short(value: object) -> str:
    """How Python shows it, on one line of at most 200 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST_REPR else f"{text[:LONGEST_REPR]}..."
