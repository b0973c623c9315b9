"""Gymnasium's MountainCarContinuous-v0 as a compiled environment, equal bit for bit."""

import math

import numpy as np
from gymnasium import spaces

from ppo_np.environments.compiled import CompiledEnv

FLOAT = np.float32
LEFT, RIGHT, GOAL = FLOAT(-1.2), FLOAT(0.6), FLOAT(0.45)
POWER, MAX_SPEED = FLOAT(0.0015), FLOAT(0.07)
LOW, HIGH = np.array([[LEFT, -MAX_SPEED], [RIGHT, MAX_SPEED]])


class MountainCarContinuous(CompiledEnv):
    """MountainCar with a force from -1 to 1, whose square is a cost. The state is the position and the velocity.

    Gymnasium rounds both to float32 after each step, but not after the reset. A third number tells these cases apart.
    """

    observation_space = spaces.Box(LOW, HIGH)
    action_space = spaces.Box(-1.0, 1.0, (1,))
    max_episode_steps = 999
    reward_threshold = 90.0

    def reset(self, rng):
        """At rest in the valley."""
        return np.array([rng.uniform(-0.6, -0.4), 0.0, 0.0])

    @staticmethod
    def step(state, action):
        """The reward is 100 at the goal, minus the cost."""
        angle = 3 * state[0] if state[2] == 0 else np.float64(FLOAT(3 * state[0]))
        force = min(max(action[0], FLOAT(-1)), FLOAT(1))
        velocity = FLOAT(state[1] + (force * POWER - FLOAT(0.0025 * math.cos(angle))))
        velocity = min(max(velocity, -MAX_SPEED), MAX_SPEED)
        position = min(max(FLOAT(state[0] + velocity), LEFT), RIGHT)
        if position == LEFT and velocity < 0:
            velocity = FLOAT(0)
        terminated = position >= GOAL and velocity >= 0
        state[0], state[1], state[2] = position, velocity, 1.0
        effort = np.float64(action[0])
        return (100.0 if terminated else 0.0) - effort * effort * 0.1, terminated

    @staticmethod
    def observe(state, obs):
        """The position and the velocity in float32."""
        obs[0], obs[1] = state[0], state[1]
