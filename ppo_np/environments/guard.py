"""A wrapper of one environment that turns what goes wrong in it into an exception with the environment's index."""

import math
import numbers
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from ppo_np.environments.action_masks import MASK, MaskReader
from ppo_np.environments.attribute_changes import Answer, Change, ask, set_again
from ppo_np.environments.env_restore import NO_SEED, EpisodeStart, Restored, RestorePlan, rng_words, set_rng_words
from ppo_np.environments.film import set_film_episode
from ppo_np.environments.final_infos import numbers_of
from ppo_np.environments.watchdog import Watchdog
from ppo_np.errors import EnvironmentFault, short

CLOSE_TIMEOUT = 10.0  # seconds


class Guard(gymnasium.Wrapper):
    """Turns exceptions and malformed observations and rewards into `EnvironmentFault`.

    The infos are dropped, because nothing reads them: what an environment puts there need not fit that of others, nor
    be such that a worker process can send it. Only the action mask is given, as (K,) int8 and under the name `MASK`,
    unless the step ended the episode; and if it did, the numbers that the info has under the info keys. Nothing else is
    changed.

    Args:
        env: the environment.
        index: as the attribute.
        action_mask: the setting of that name; empty if there are no masks.
        info_keys: the setting of that name.

    Attributes:
        index: index of the environment among the environments of all ranks.
        takes_integers: whether actions may be Python's integers instead of NumPy's.
        busy: whether the environment is running now.
        masks: reads the action masks; None if there are none.
        calls: number of resets and steps.
        episodes: number of episodes that have begun.
    """

    def __init__(self, env: gymnasium.Env, index: int, action_mask: str = "", info_keys: Sequence[str] = ()):
        super().__init__(env)
        if not isinstance(env.metadata, Mapping):  # vector environments copy it
            self.metadata = {}
        self.index = index
        self.info_keys = info_keys
        self.busy = False
        self.calls = self.episodes = 0
        self._seed = NO_SEED
        self._rng_then: np.ndarray | None = None
        self.masks = MaskReader(action_mask, env.action_space) if action_mask else None
        self.takes_integers = isinstance(env.action_space, spaces.Discrete) and _is_gymnasiums(env)
        space = env.observation_space
        is_box = isinstance(space, spaces.Box)
        self._shape = space.shape if is_box else None
        self._dtype = space.dtype if is_box else None

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """As the environment's; raises EnvironmentFault if that raised an exception or its observation is malformed."""
        self.busy = True
        self.calls += 1
        self.episodes += 1
        seed = kwargs.get("seed")
        self._seed, self._rng_then = (NO_SEED, rng_words(self.env)) if seed is None else (seed, None)
        try:
            obs, info = self.env.reset(**kwargs)
            shown = self._shown(info)
        except EnvironmentFault:
            raise
        except (Exception, SystemExit) as error:
            raise EnvironmentFault(f"environment {self.index} raised {describe(error)} in its reset") from error
        finally:
            self.busy = False
        self._check_obs(obs)
        return obs, shown

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """As the environment's; raises EnvironmentFault as `reset` does, or if the reward is not a number."""
        self.busy = True
        self.calls += 1
        try:
            obs, reward, terminated, truncated, info = self.env.step(int(action) if self.takes_integers else action)
            terminated, truncated = bool(terminated), bool(truncated)
            shown = numbers_of(info, self.info_keys) if terminated or truncated else self._shown(info)
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
        if terminated or truncated:
            obs = deepcopy(obs)  # the next reset may write into the same arrays
        return obs, reward, terminated, truncated, shown

    def _shown(self, info: Any) -> dict[str, Any]:
        """What is given of the infos: the action mask. Raises EnvironmentFault if it is malformed."""
        if self.masks is None:
            return {}
        return {MASK: self.masks.of_environment(self.env, info, f"environment {self.index}")}

    def episode_start(self) -> EpisodeStart:
        """How the present episode began."""
        return EpisodeStart(self.episodes, self._seed, self._rng_then, rng_words(self.env))

    def watched(self, timeout: float) -> Watchdog:
        """A context with a time limit for each reset and step."""
        return Watchdog(timeout, lambda: self.calls if self.busy else None, lambda: f"environment {self.index}")

    def restore(self, plans: Sequence[RestorePlan | None], timeout: float = math.inf) -> Restored | None:
        """Follow the plan at this environment's index; returns None if there is none or it cannot be followed.

        A reset or a step that takes longer than `timeout` seconds cannot be followed either.
        """
        plan = plans[self.index]
        # The latter three: its spaces or its generator have changed.
        with suppress(EnvironmentFault, TypeError, ValueError, OverflowError), self.watched(timeout):
            return None if plan is None else self._follow(plan)
        return None

    def _follow(self, plan: RestorePlan) -> Restored | None:
        self.episodes = plan.start.episode - 1
        set_film_episode(self.env, plan.start.episode)
        set_again(self.env, [change for change in plan.changes if change.step < 0])
        if plan.start.seed != NO_SEED:
            obs, info = self.reset(seed=plan.start.seed)
        elif plan.start.rng_then is not None:
            set_rng_words(self.env, plan.start.rng_then)
            obs, info = self.reset()
        else:
            return None
        episodic_return = 0.0
        for done, action in enumerate(plan.actions.copy()):  # an environment may write into its action
            set_again(self.env, [change for change in plan.changes if change.step == done])
            obs, reward, terminated, truncated, info = self.step(action)
            if terminated or truncated:
                return None
            episodic_return += float(reward)
        set_again(self.env, [change for change in plan.changes if change.step == len(plan.actions)])
        return Restored(obs, episodic_return, rng_words(self.env), info.get(MASK))

    def ask(self, what: str, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Answer:
        """As the function `ask`; an exception is part of the answer, so that a worker goes on."""
        self.busy = True
        self.calls += 1
        try:
            return Answer(ask(self.env, what, name, args, kwargs))
        except Exception as error:
            return Answer(None, not self.env.has_wrapper_attr(name), describe(error))
        finally:
            self.busy = False

    def reset_unrestored(
        self, plans: Sequence[RestorePlan | None], which: Sequence[bool], timeout: float, changes: Sequence[Change] = ()
    ) -> Any:
        """If `which` is true at this environment's index: begin an episode, after `changes`, with the plan's generator.

        Returns the results of the reset; None if `which` is false. Raises EnvironmentFault as `reset` does, or if the
        reset takes longer than `timeout` seconds.
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
        set_again(self.env, changes)
        with self.watched(timeout):
            return self.reset()

    def close(self) -> None:
        """As the environment's, but see `close_watched`."""
        self.close_within(CLOSE_TIMEOUT)

    def close_within(self, timeout: float) -> bool:
        """As `close`, with another limit in seconds; returns whether the close ended in time."""
        return close_watched(self.env, f"environment {self.index}", timeout)

    def _check_obs(self, obs: Any) -> None:
        wrong = misfit(obs, self.observation_space)
        if wrong:
            raise EnvironmentFault(
                f"environment {self.index} gave an observation {wrong[0]}, but it must be {wrong[1]}"
            )

    def _check_reward(self, reward: Any) -> None:
        scalar = reward[()] if isinstance(reward, np.ndarray) and reward.ndim == 0 else reward
        if isinstance(scalar, numbers.Real | np.bool_):
            with suppress(OverflowError):  # an integer larger than any float
                float(scalar)
                return
        raise EnvironmentFault(f"environment {self.index} gave the reward {short(reward)}, but it must be a number")


def close_all(envs: Sequence[gymnasium.Env]) -> None:
    """Close environments one after the other, as `close_watched`.

    Each may take `CLOSE_TIMEOUT`. After the first one that takes longer, all others share this time: they may hang too.
    """
    timeout = CLOSE_TIMEOUT
    for env in envs:
        if not isinstance(env, Guard):
            env.close()
        elif not env.close_within(timeout):
            timeout = CLOSE_TIMEOUT / len(envs)


def close_watched(env: gymnasium.Env | VectorEnv, who: str, timeout: float | None = None) -> bool:
    """Close an environment. An exception, or a longer time, becomes a warning: nothing is needed of it any more.

    Returns False if the close took longer than `timeout` seconds; None means `CLOSE_TIMEOUT`.
    """
    try:
        with Watchdog(
            CLOSE_TIMEOUT if timeout is None else timeout,
            lambda: True,
            lambda: who,
            "did not end its close",
            setting="",
        ):
            env.close()
    except EnvironmentFault as fault:
        if isinstance(env, VectorEnv):
            env.closed = True  # or its finaliser would hang again
        warnings.warn(str(fault), RuntimeWarning, 3)
        return False
    except (Exception, SystemExit) as error:
        warnings.warn(f"{who} raised {describe(error)} in its close", RuntimeWarning, 3)
    return True


def _is_gymnasiums(env: gymnasium.Env) -> bool:
    """Whether environment and wrappers are Gymnasium's own: these take Python's integers, and are faster with them."""
    while isinstance(env, gymnasium.Wrapper) and type(env).__module__.startswith("gymnasium.wrappers."):
        env = env.env
    return type(env).__module__.startswith("gymnasium.envs.")


def misfit(obs: Any, space: gymnasium.Space, part: str = "") -> tuple[str, str] | None:
    """What an observation is and what it must be; None if it can be used.

    The numbers of a Box may be out of its bounds, and of another type that can be cast to the space's.
    """
    where = f"whose part {part} is " if part else ""
    if isinstance(space, spaces.Dict) and isinstance(obs, Mapping) and obs.keys() == space.spaces.keys():
        parts = [(obs[key], space[key], f"{part}[{key!r}]") for key in space.spaces]
    elif isinstance(space, spaces.Tuple) and isinstance(obs, tuple | list) and len(obs) == len(space.spaces):
        parts = [(obs[i], space[i], f"{part}[{i}]") for i in range(len(obs))]
    elif isinstance(space, spaces.Box):
        try:
            array = np.asarray(obs)
        except ValueError:  # lists of different lengths
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
