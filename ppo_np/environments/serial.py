"""Environments stepped in turn in this process, without what a rollout does not look at."""

from collections.abc import Callable, Sequence

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import concatenate, iterate

ARRAYS = (Box, Discrete, MultiBinary, MultiDiscrete)


class SerialEnvs(SyncVectorEnv):
    """Gymnasium's SyncVectorEnv in SAME_STEP mode, with a leaner `step`.

    The same transitions; of the infos only `final_obs` is kept. Observations are written into one array, which is the
    same in every step; so are terminations and truncations as long as no episode ends.

    Args:
        factories: make the environments.
    """

    def __init__(self, factories: Sequence[Callable[[], gymnasium.Env]]):
        super().__init__(factories, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
        space = self.single_observation_space
        arrays = isinstance(space, Box) and len(space.shape) > 0
        # All observations one behind the other: a single call copies them.
        self._rows = self._observations.reshape(-1, *space.shape[1:]) if arrays else None
        simple_actions = isinstance(self.single_action_space, ARRAYS)
        if all(getattr(env, "takes_integers", False) for env in self.envs):
            self._each = np.ndarray.tolist
        else:
            self._each = iter if simple_actions else lambda actions: iterate(self.action_space, actions)
        self._none = np.zeros(self.num_envs, bool)
        self._steps = [env.step for env in self.envs]

    def step(self, actions):
        """As SyncVectorEnv's, with fewer infos."""
        observations, rewards, finals = self._env_obs, [], None
        terminations = truncations = self._none
        for n, (step, action) in enumerate(zip(self._steps, self._each(actions), strict=True)):
            obs, reward, terminated, truncated, _ = step(action)
            if terminated or truncated:
                if finals is None:
                    finals = np.full(self.num_envs, None, object)
                    terminations, truncations = np.zeros((2, self.num_envs), bool)
                finals[n], terminations[n], truncations[n] = obs, terminated, truncated
                obs, _ = self.envs[n].reset()
            observations[n] = obs
            rewards.append(reward)
        if self._rows is None:
            self._observations = concatenate(self.single_observation_space, observations, self._observations)
        else:
            np.concatenate(observations, out=self._rows)
        infos = {} if finals is None else {"final_obs": finals}
        return self._observations, np.array(rewards, np.float64), terminations, truncations, infos
