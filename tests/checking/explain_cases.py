"""Environments, networks and short runs for the tests of `explain`."""

import dataclasses

import gymnasium
import numpy as np
from gymnasium import spaces

from ppo_np import PPO, PPOConfig


class Noise(gymnasium.Env):
    """Observations and rewards are random numbers; an episode ends after a random time."""

    def __init__(self, action_space):
        self.observation_space, self.action_space = spaces.Box(-np.inf, np.inf, (3,)), action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action):
        terminated, truncated = self.np_random.random(2) < 0.1
        return self._obs(), self.np_random.normal(), terminated, truncated, {}

    def _obs(self):
        return 2 * self.np_random.standard_normal(3, np.float32) + 1


def noise(name, action_space):
    """The id of a `Noise` with this action space."""
    env_id = f"ppo_np_test/Noise{name}-v0"
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, lambda: Noise(action_space))
    return env_id


ACTIONS = {
    "Discrete": noise("Discrete", spaces.Discrete(4)),
    "MultiDiscrete": noise("MultiDiscrete", spaces.MultiDiscrete([3, 2, 4])),
    "MultiBinary": noise("MultiBinary", spaces.MultiBinary(3)),
    "Box": noise("Box", spaces.Box(-1, 1, (2,))),
}
NETWORKS = {
    "shared": {"shared_sizes": (5, 4), "activation": "tanh"},
    "separate": {"shared_sizes": (), "policy_sizes": (4,), "value_sizes": (3, 5), "activation": "relu"},
    "both": {"shared_sizes": (6,), "policy_sizes": (4,), "value_sizes": (3,), "activation": "relu"},
}


def small(actions="Discrete", network="shared", **settings):
    """Settings of a small network for a kind of action."""
    return PPOConfig(**{"env_id": ACTIONS[actions], "total_timesteps": 1000, **NETWORKS[network], **settings})


def trained(path, updates=2, **settings):
    """The settings of a short run, whose checkpoint is written to `path`."""
    config = dataclasses.replace(
        small(**settings), total_timesteps=10**6, num_envs=2, num_steps=settings.get("num_steps", 24)
    )
    ppo = PPO(config)
    ppo.learn(lambda ppo, _: ppo.stop() if ppo.update == updates else None)
    ppo.save(path)
    ppo.close()
    return config
