"""Gymnasium's MountainCar-v0 as a compiled environment, equal bit for bit."""

import math

import numpy as np
from gymnasium import spaces

from ppo_np.environments.compiled import CompiledEnv

LEFT, RIGHT, GOAL = -1.2, 0.6, 0.5
FORCE, GRAVITY, MAX_SPEED = 0.001, 0.0025, 0.07
LOW, HIGH = np.array([[LEFT, -MAX_SPEED], [RIGHT, MAX_SPEED]], np.float32)


class MountainCar(CompiledEnv):
    """A car without enough power swings itself up a hill (Moore 1990). The state is its position and its velocity."""

    observation_space = spaces.Box(LOW, HIGH)
    action_space = spaces.Discrete(3)
    max_episode_steps = 200
    reward_threshold = -110.0

    def reset(self, rng):
        """At rest in the valley."""
        return np.array([rng.uniform(-0.6, -0.4), 0.0])

    @staticmethod
    def step(state, action):
        """The reward is -1 for each step; the goal is on the right hill."""
        velocity = state[1] + ((action - 1) * FORCE + math.cos(3 * state[0]) * (-GRAVITY))
        velocity = min(max(velocity, -MAX_SPEED), MAX_SPEED)
        position = min(max(state[0] + velocity, LEFT), RIGHT)
        if position == LEFT and velocity < 0:
            velocity = 0.0
        state[0], state[1] = position, velocity
        return -1.0, position >= GOAL and velocity >= 0
