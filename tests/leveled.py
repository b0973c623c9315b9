"""An environment with an attribute that can be set: the test environment of curricula and of infos."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Leveled(gymnasium.Env):
    """Observation (level, count), reward level + a random number; an episode lasts 3 + level steps, with the level of
    its reset. The last info has `is_success`, 1 if the level was above 0, and a text. `raises` is a method that does.
    """

    metadata = {"render_modes": []}

    def __init__(self, render_mode=None):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Discrete(2)
        self.level, self.episodes = 0, "its own"  # the guard has an attribute of this name, too

    def _obs(self):
        return np.array([self.level, self.count], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count, self.length = 0, 3 + self.level
        return self._obs(), {"is_success": 9.0}

    def step(self, action):
        self.count += 1
        done = self.count >= self.length
        info = {"is_success": self.level > 0, "text": "none"} if done else {"is_success": 9.0}
        return self._obs(), self.level + float(self.np_random.random()), False, done, info

    def set_level(self, level):
        self.level = level
        return level + 1

    def raises(self):
        raise ValueError("no")


class Shown(gymnasium.Wrapper):
    """A wrapper with an attribute of its own."""

    colour = "red"
