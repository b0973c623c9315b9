"""Compiled environments for tests."""

import numpy as np
from gymnasium import spaces

from ppo_np import CompiledEnv


class Drift(CompiledEnv):
    """A number that each action moves; the episode ends outside of -3...3, or after `max_episode_steps`."""

    observation_space = spaces.Box(-100, 100, (2,), np.float32)
    action_space = spaces.Discrete(3, start=5)
    max_episode_steps = 7

    def __init__(self, spread=1.0):
        self.spread = spread

    def reset(self, rng):
        """A number, and 0."""
        return [rng.uniform(-self.spread, self.spread), 0.0]

    @staticmethod
    def step(state, action):
        """5 moves down, 7 up."""
        state[0] += 1.5 * (action - 6)
        state[1] += 1
        return 1.0 - abs(state[0]), abs(state[0]) > 3

    @staticmethod
    def observe(state, obs):
        """Both numbers."""
        obs[:] = state

    @staticmethod
    def render(state):
        """A grey picture."""
        return np.full((16, 16, 3), int(state[1]), np.uint8)


Drift.register("ppo_np_test/Drift-v0")
