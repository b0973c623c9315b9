"""Gymnasium's Acrobot-v1 as a compiled environment, equal bit for bit: squares are those of C's `pow`."""

import math

import numpy as np
from gymnasium import spaces
from numba import njit

from ppo_np.environments.compiled import CompiledEnv

DT, GRAVITY, PI, FASTEST = 0.2, 9.8, math.pi, (4 * math.pi, 9 * math.pi)
HIGH = np.array([1, 1, 1, 1, *FASTEST], np.float32)


@njit
def slope(s, h, k, torque, two):
    """d/dt at the state s + h * k. Both links have mass 1, length 1 and moment of inertia 1."""
    a, b, da, db = s[0] + h * k[0], s[1] + h * k[1], s[2] + h * k[2], s[3] + h * k[3]
    sin, cos = math.sin(b), math.cos(b)
    d1, d2 = 0.25 + (1.25 + cos) + 1.0 + 1.0, (0.25 + 0.5 * cos) + 1.0
    phi2 = 0.5 * GRAVITY * math.cos(a + b - PI / 2)
    phi1 = -0.5 * db**two * sin - db * da * sin + 1.5 * GRAVITY * math.cos(a - PI / 2) + phi2
    ddb = (torque + d2 / d1 * phi1 - 0.5 * da**two * sin - phi2) / (1.25 - d2**two / d1)
    return da, db, -(d2 * ddb + phi1) / d1, ddb


class Acrobot(CompiledEnv):
    """Two links hang from a joint; a torque between them swings the end up (Sutton 1996). State: 2 angles, 2 speeds."""

    observation_space, action_space = spaces.Box(-HIGH, HIGH), spaces.Discrete(3)
    max_episode_steps, reward_threshold = 500, -100.0

    def reset(self, rng):
        """Both links hang almost straight down. 2 is an exponent: as a constant, it would become a product."""
        return [*rng.uniform(-0.1, 0.1, 4).astype(np.float32), 2.0]

    @staticmethod
    def step(state, action):
        """Runge and Kutta's method of order 4; the reward is -1 until the end is high enough."""
        s, torque, two = (state[0], state[1], state[2], state[3]), action - 1.0, state[4]
        k1 = slope(s, 0.0, s, torque, two)
        k2 = slope(s, DT / 2, k1, torque, two)
        k3 = slope(s, DT / 2, k2, torque, two)
        k4 = slope(s, DT, k3, torque, two)
        for i in range(4):
            state[i] = s[i] + DT / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i])
        for i in range(2):
            while abs(state[i]) > PI:
                state[i] -= math.copysign(2 * PI, state[i])
            state[2 + i] = min(max(state[2 + i], -FASTEST[i]), FASTEST[i])
        terminated = -math.cos(state[0]) - math.cos(state[1] + state[0]) > 1.0
        return terminated - 1.0, terminated

    @staticmethod
    def observe(state, obs):
        """Cosine and sine of each angle, and the speeds."""
        for i in range(2):
            obs[2 * i], obs[2 * i + 1], obs[4 + i] = math.cos(state[i]), math.sin(state[i]), state[2 + i]
