"""Advantages by one backward loop over time, vectorised over environments; and their normalisation."""

import numpy as np


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
