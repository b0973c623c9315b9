"""Gymnasium's Pendulum-v1 as a compiled environment. Squares in the reward are rounded correctly, C's `pow` almost."""

import math

import numpy as np
from gymnasium import spaces

from ppo_np.environments.compiled import CompiledEnv

MAX_SPEED, MAX_TORQUE, DT, GRAVITY = 8.0, 2.0, 0.05, 10.0
HIGH = np.array([1.0, 1.0, MAX_SPEED], np.float32)
TURN = 2 * math.pi


class Pendulum(CompiledEnv):
    """A pendulum is swung up and held there with a limited torque.

    The state is the angle theta, 0 when upright, its velocity, and the angle's cosine and sine, so that each is
    computed once a step.
    """

    observation_space = spaces.Box(-HIGH, HIGH)
    action_space = spaces.Box(-MAX_TORQUE, MAX_TORQUE, (1,))
    max_episode_steps = 200

    def reset(self, rng):
        """Any angle, at a low speed."""
        theta, speed = rng.uniform(-math.pi, math.pi), rng.uniform(-1.0, 1.0)
        return np.array([theta, speed, math.cos(theta), math.sin(theta)])

    @staticmethod
    def step(state, action):
        """Euler's method; the cost is the squared angle, and a little of the squared speed and torque."""
        theta, speed, _, sin = state
        torque = min(max(action[0], np.float32(-MAX_TORQUE)), np.float32(MAX_TORQUE))
        angle = theta + math.pi
        if not 0 <= angle < TURN:  # % is slow
            angle %= TURN
        angle -= math.pi
        cost = angle * angle + 0.1 * (speed * speed) + np.float32(0.001) * (torque * torque)
        speed += (3 * GRAVITY / 2 * sin + np.float32(3.0) * torque) * DT
        speed = min(max(speed, -MAX_SPEED), MAX_SPEED)
        theta += speed * DT
        state[0], state[1], state[2], state[3] = theta, speed, math.cos(theta), math.sin(theta)
        return -cost, False

    @staticmethod
    def observe(state, obs):
        """The point at the end of the pendulum, and the speed."""
        obs[0], obs[1], obs[2] = state[2], state[3], state[1]
