"""Gymnasium's CartPole-v1 as a compiled environment, equal bit for bit."""

import math

import numpy as np
from gymnasium import spaces

from ppo_np.environments.compiled import CompiledEnv

GRAVITY, FORCE, TAU = 9.8, 10.0, 0.02  # m/s^2, N, seconds between two steps
POLE_MASS, LENGTH = 0.1, 0.5  # kg, and metres from the pole's end to its middle
TOTAL_MASS = POLE_MASS + 1.0
POLE_MASS_LENGTH = POLE_MASS * LENGTH
X_LIMIT, THETA_LIMIT = 2.4, 12 * 2 * math.pi / 360
HIGH = np.array([2 * X_LIMIT, np.inf, 2 * THETA_LIMIT, np.inf], np.float32)


class CartPole(CompiledEnv):
    """A pole is balanced on a cart that is pushed to the left or to the right (Barto, Sutton and Anderson 1983).

    The state is x, its velocity, the pole's angle theta, and its velocity.
    """

    observation_space = spaces.Box(-HIGH, HIGH)
    action_space = spaces.Discrete(2)
    max_episode_steps = 500
    reward_threshold = 475.0

    def reset(self, rng):
        """An almost upright pole."""
        return rng.uniform(-0.05, 0.05, 4)

    @staticmethod
    def step(state, action):
        """Euler's method; the reward is 1 for each step."""
        x, x_dot, theta, theta_dot = state
        force = FORCE if action == 1 else -FORCE
        cos, sin = math.cos(theta), math.sin(theta)
        push = (force + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sin) / TOTAL_MASS
        turn = (GRAVITY * sin - cos * push) / (LENGTH * (4.0 / 3.0 - POLE_MASS * (cos * cos) / TOTAL_MASS))
        drift = push - POLE_MASS_LENGTH * turn * cos / TOTAL_MASS
        state[0] = x + TAU * x_dot
        state[1] = x_dot + TAU * drift
        state[2] = theta + TAU * theta_dot
        state[3] = theta_dot + TAU * turn
        return 1.0, abs(state[0]) > X_LIMIT or abs(state[2]) > THETA_LIMIT
