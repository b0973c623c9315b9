"""Environments that are stepped one after the other in this process, with as little overhead as possible."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import concatenate, iterate

from ppo_np.environments.action_masks import MASK
from ppo_np.environments.final_infos import FINAL_INFO
from ppo_np.environments.guard import close_all


class SerialEnvs(SyncVectorEnv):
    """Gymnasium's SyncVectorEnv in SAME_STEP mode with a faster `step`, which returns the same transitions.

    Of the infos only `final_obs` is kept, and what a `Guard` shows: action masks, and last infos as a list of dicts.
    Each step overwrites the same array of observations, and of masks. The arrays of terminations and truncations are
    also the same as long as no episode ends.
    """

    def __init__(self, factories: Sequence[Callable[[], gymnasium.Env]]):
        super().__init__(factories, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
        space = self.single_observation_space
        # All observations in one array, one after the other: a single call copies them.
        self._joined_obs = None
        if isinstance(space, Box) and space.shape:
            self._joined_obs = self._observations.reshape(-1, *space.shape[1:])
        self._each_action: Callable[[Any], Iterable[Any]] = lambda actions: iterate(self.action_space, actions)
        if all(getattr(env, "takes_integers", False) for env in self.envs):
            self._each_action = np.ndarray.tolist
        elif isinstance(self.single_action_space, Box | Discrete | MultiBinary | MultiDiscrete):
            self._each_action = iter
        self._all_false = np.zeros(self.num_envs, bool)
        self._steps = [env.step for env in self.envs]
        readers = [getattr(env, "masks", None) for env in self.envs]
        self._masks = np.ones((self.num_envs, readers[0].width), np.int8) if readers[0] else None

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """As SyncVectorEnv.step, with fewer infos."""
        observations: list[Any] = self._env_obs
        rewards = []
        finals = None
        last_infos: list[dict[str, Any]] = []
        terminations = truncations = self._all_false
        for n, (step, action) in enumerate(zip(self._steps, self._each_action(actions), strict=True)):
            obs, reward, terminated, truncated, info = step(action)
            if terminated or truncated:
                if finals is None:
                    finals = np.full(self.num_envs, None, object)
                    terminations, truncations = np.zeros((2, self.num_envs), bool)
                if info:
                    last_infos = last_infos or [{}] * self.num_envs
                    last_infos[n] = info
                finals[n], terminations[n], truncations[n] = obs, terminated, truncated
                obs, info = self.envs[n].reset()
            if self._masks is not None:
                self._masks[n] = info[MASK]
            observations[n] = obs
            rewards.append(reward)
        if self._joined_obs is None:
            self._observations = concatenate(self.single_observation_space, observations, self._observations)
        else:
            np.concatenate(observations, out=self._joined_obs)
        infos: dict[str, Any] = {} if finals is None else {"final_obs": finals}
        if last_infos:
            infos[FINAL_INFO] = last_infos
        if self._masks is not None:
            infos[MASK] = self._masks
        return self._observations, np.array(rewards, np.float64), terminations, truncations, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments as `close_all` does."""
        close_all(self.envs)
