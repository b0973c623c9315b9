"""Vector environments: made, seeded, stepped, their episodes counted, their videos recorded."""

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from ppo_np.errors import UserError


@dataclass(frozen=True)
class VideoOptions:
    """Where the episodes of environment 0 are filmed, and how many of them.

    Attributes:
        folder: gets one mp4 for each filmed episode.
        every: film episodes 0, every, 2 * every, ...
    """

    folder: Path
    every: int = 3


def make_env(env_id: str, render_mode: str | None = None, video: VideoOptions | None = None) -> gymnasium.Env:
    """Make one environment by its Gymnasium id.

    Args:
        env_id: registered id; "module:id" imports the module first.
        render_mode: None or "rgb_array".
        video: film episodes (this implies "rgb_array").

    Raises:
        UserError: The id is unknown or outdated, a package that the environment needs is missing, it cannot render, or
            the folder for videos cannot be made.
    """
    render_mode = "rgb_array" if video else render_mode
    with warnings.catch_warnings(record=True) as caught:  # so that a failure is told in one sentence, not in two
        warnings.simplefilter("always")
        try:
            if env_id.count(":") > 1:
                raise gymnasium.error.Error("at most one colon may stand in an id, behind a module to import")
            env = gymnasium.make(env_id, **({"render_mode": render_mode} if render_mode else {}))
        except (gymnasium.error.Error, ImportError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"env_id is {env_id!r}, but no such environment can be made: {reason}") from error
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if render_mode and render_mode not in env.metadata.get("render_modes", ()):
        raise UserError(f"env_id is {env_id!r}, but a video needs an environment with the render mode {render_mode}.")
    return _filmed(env, video) if video else env


def _filmed(env: gymnasium.Env, video: VideoOptions) -> gymnasium.Env:
    trigger = partial(_is_multiple, video.every)
    try:
        return gymnasium.wrappers.RecordVideo(env, str(video.folder), episode_trigger=trigger, disable_logger=True)
    except OSError as error:
        raise UserError(f"The folder for videos, {str(video.folder)!r}, cannot be made: {error.strerror}.") from error


def _is_multiple(every: int, episode: int) -> bool:
    return episode % every == 0


def spaces_of(env_id: str) -> tuple[gymnasium.Space, gymnasium.Space]:
    """Observation space and action space of an environment, which is made and closed for that.

    Raises:
        UserError: As `make_env`.
    """
    env = make_env(env_id)
    env.close()
    return env.observation_space, env.action_space


def make_vector_env(env_id: str, num_envs: int, video: VideoOptions | None = None) -> SyncVectorEnv:
    """Make `num_envs` environments that are stepped one after another and reset in the step that ends an episode.

    Raises:
        UserError: As `make_env`.
    """
    factories = [partial(make_env, env_id, video=video if index == 0 else None) for index in range(num_envs)]
    return SyncVectorEnv(factories, autoreset_mode=AutoresetMode.SAME_STEP)


class Episode(NamedTuple):
    """A finished episode: the sum of its rewards and the number of its steps."""

    episodic_return: float
    episodic_length: int


class Transition(NamedTuple):
    """What one step of N environments gave.

    Attributes:
        rewards: (N,) float64. terminations, truncations: (N,) bool.
        final_obs: (N,) objects, the last observation of each episode that ended; None if none did.
        episodes: those that ended.
    """

    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
    final_obs: np.ndarray | None
    episodes: list[Episode]


class EnvStream:
    """A vector environment as one endless stream: it is reset once, and each rollout goes on where the last one ended.

    Args:
        envs: vector environment with autoreset in the same step.
        seed: environment i is first reset with seed + i.

    Attributes:
        obs: the N current observations.

    Raises:
        UserError: The vector environment resets in another way.
    """

    def __init__(self, envs: VectorEnv, seed: int):
        mode = envs.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise UserError(f"autoreset_mode of the vector environment is {mode}, but it must be SAME_STEP.")
        self.envs = envs
        self.obs, _ = envs.reset(seed=seed)
        self._returns = np.zeros(envs.num_envs)
        self._lengths = np.zeros(envs.num_envs, np.int64)

    def step(self, actions: np.ndarray) -> Transition:
        """Apply one action for each environment, (N,)."""
        self.obs, rewards, terminations, truncations, infos = self.envs.step(actions)
        self._returns += rewards
        self._lengths += 1
        dones = terminations | truncations
        episodes = []
        if dones.any():
            episodes = [Episode(float(self._returns[n]), int(self._lengths[n])) for n in np.flatnonzero(dones)]
            self._returns[dones] = 0
            self._lengths[dones] = 0
        return Transition(rewards, terminations, truncations, infos.get("final_obs"), episodes)
