"""Generalised advantage estimation, and the normalisation of advantages."""

import math

import numpy as np

from kernels._jit import kernel

NORMALIZE_EPS = 1e-8


@kernel
def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda, advantages, returns):
    """Advantages and value targets of a rollout (Schulman et al. 2016, equation 16).

    delta_t = r_t + gamma V(s'_t) (1 - terminated_t) - V(s_t)
    A_t     = delta_t + gamma lambda (1 - done_t) A_{t+1},     done_t = terminated_t or truncated_t
    R_t     = A_t + V(s_t)

    s'_t is the *real* successor of s_t. If the episode continues, V(s'_t) = values[t+1]. If the episode was truncated,
    V(s'_t) = V(final observation) = final_values[t], because values[t+1] belongs to the first state of another episode.

    Derivation: docs/gradients.md, "Generalised advantage estimation".

    Args:
        rewards: r, (T, N).
        values: V(s_t), (T+1, N); the last row holds V of the observation after the rollout.
        final_values: (T, N), V(final observation) where an episode was truncated; other entries are not read.
        terminations, truncations: (T, N) booleans of transition t.
        gamma, gae_lambda: in [0, 1].
        advantages, returns: outputs A and R, (T, N) each, overwritten.
    """
    steps, envs = rewards.shape
    zero = values.dtype.type(0)
    for n in range(envs):
        advantage = 0.0
        for t in range(steps - 1, -1, -1):
            next_value = values[t + 1, n]
            if terminations[t, n] or truncations[t, n]:
                next_value = zero if terminations[t, n] else final_values[t, n]
                advantage = 0.0
            delta = rewards[t, n] + gamma * np.float64(next_value) - values[t, n]
            advantage = delta + gamma * gae_lambda * advantage
            advantages[t, n] = advantage
            returns[t, n] = advantage + values[t, n]


@kernel
def normalize(advantages, normalized):
    """Shift and scale advantages to mean 0 and standard deviation 1. The backward pass treats them as constants.

    A'_b = (A_b - mean A) / (std A + 1e-8)

    std uses 1/B and not 1/(B-1), as the article (in TensorFlow) and OpenAI Baselines do. Implementations in torch use
    1/(B-1). A minibatch of one row has no spread and is not changed.

    Derivation: docs/gradients.md, "Advantage normalisation".

    Args:
        advantages: A, (B,).
        normalized: output, (B,), overwritten; can be the same array as advantages.
    """
    rows = advantages.shape[0]
    if rows == 1:
        normalized[0] = advantages[0]
        return
    mean = 0.0
    for b in range(rows):
        mean += np.float64(advantages[b])
    mean /= rows
    variance = 0.0
    for b in range(rows):
        variance += (advantages[b] - mean) ** 2
    scale = 1.0 / (math.sqrt(variance / rows) + NORMALIZE_EPS)
    for b in range(rows):
        normalized[b] = (advantages[b] - mean) * scale
