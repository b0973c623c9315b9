"""Advantages against NumPy: one backward loop over time, vectorised over environments; and their normalisation."""

import numpy as np
import pytest
from shapes import every_shape

from kernels import gae, normalize


def numpy_gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda, advantages, returns):
    """Work out all deltas at once; only the recursion itself runs step by step."""
    dones = terminations | truncations
    next_values = np.where(dones, final_values, values[1:])
    next_values[terminations] = 0
    deltas = rewards + gamma * next_values - values[:-1]
    decays = np.float32(gamma * gae_lambda) * ~dones
    advantage = np.zeros_like(rewards[0])
    for t in range(len(rewards) - 1, -1, -1):
        advantage = deltas[t] + decays[t] * advantage
        advantages[t] = advantage
    np.add(advantages, values[:-1], out=returns)


def numpy_normalize(advantages, normalized):
    """Subtract the mean into the output, divide by the standard deviation in place."""
    np.subtract(advantages, advantages.mean(), out=normalized)
    normalized /= advantages.std() + 1e-8


@pytest.mark.parametrize("shape", ["128x4", "128x64"])
def test_gae(kernel_or_numpy, rng, normal, sizes):
    steps, envs = sizes
    rewards, values, final_values = normal(steps, envs), normal(steps + 1, envs), normal(steps, envs)
    terminations, truncations = rng.random((2, steps, envs)) < 0.02
    kernel_or_numpy(
        gae, numpy_gae, rewards, values, final_values, terminations, truncations,
        0.99, 0.95, normal(steps, envs), normal(steps, envs),
    )  # fmt: skip


@every_shape(of=lambda rows, width: (rows,))
def test_normalize(kernel_or_numpy, normal, sizes):
    kernel_or_numpy(normalize, numpy_normalize, normal(*sizes), normal(*sizes))
