"""Compiled environments for tests."""

from contextlib import contextmanager

import numpy as np
from gymnasium import spaces

from kernels import _jit
from ppo_np import CompiledEnv
from ppo_np.environments import compiled, stepping


@contextmanager
def in_python(monkeypatch):
    """The functions of a model are not compiled, which takes seconds; the package's kernels are."""
    monkeypatch.setattr(compiled, "called_kernel", lambda function: function)
    monkeypatch.setattr(stepping, "users_kernel", lambda function, key: function)
    monkeypatch.setattr(compiled, "COMPILED", False)
    monkeypatch.setattr(_jit, "CACHE_DIR", "")
    compiled._kernels.cache_clear()
    yield
    compiled._kernels.cache_clear()


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
    def render(state):
        """A grey picture."""
        return np.full((16, 16, 3), int(state[1]), np.uint8)


Drift.register("ppo_np_test/Drift-v0")


class Tilt(CompiledEnv):
    """Two numbers that two actions move, seen through a matrix; the episode ends when one of them is large."""

    observation_space = spaces.Box(-100, 100, (2, 2), np.float64)
    action_space = spaces.Box(np.array([-1, 0], np.float32), np.array([0.5, 1], np.float32))
    max_episode_steps = 6

    def reset(self, rng):
        """Two numbers."""
        return rng.normal(size=2)

    @staticmethod
    def step(state, action):
        """The action is added."""
        state[0] += action[0] + 0.1 * state[1]
        state[1] += action[1] * 0.3
        return state[0] * action[1], abs(state[0]) > 2

    @staticmethod
    def observe(state, obs):
        """Both numbers, and others made of them."""
        obs[0, 0], obs[0, 1] = state[0], state[1]
        obs[1, 0], obs[1, 1] = state[0] * state[1], 1 / 3
