"""Running mean and variance, standardisation with them, and discounted sums of rewards."""

import math

from kernels._jit import kernel

MOMENTS_EPS = 1e-8

# Rows in a block: few enough to stay in the cache, and enough that one square root per column and block costs little.
BLOCK = 32


@kernel
def update_moments(x, valid, count, mean, variance):
    """Update the mean and the variance of all rows so far with the rows of a batch (Chan, Golub and LeVeque 1979).

    n' = n + n_valid,   mean' = mean + sum_b (x_b - mean) / n'
    variance' = ((variance + (mean' - mean)^2) n + sum_b (x_b - mean')^2) / n'

    The sums are over the n_valid valid rows. A prime marks the new values. The variance is that of the population
    (1/n). Two passes over the batch sum deviations from the mean, so that no large sums of squares are subtracted. With
    n = 0 the results are the mean and the variance of the batch. A batch without a valid row changes nothing.

    Derivation: docs/gradients.md, "Running moments".

    Args:
        x: (B, D).
        valid: (B,) booleans: the rows that count. The other rows can hold any numbers, also NaN.
        count: n, (1,), float64, modified in place; 0 at the start.
        mean, variance: (D,) each, float64, modified in place; 0 and 1 at the start: no standardisation.
    """
    rows, columns = x.shape
    valid_rows = 0
    for b in range(rows):
        valid_rows += valid[b]
    if valid_rows == 0:
        return
    old_count = count[0]
    count[0] += valid_rows
    for d in range(columns):
        total = 0.0
        for b in range(rows):
            deviation = x[b, d] - mean[d]
            total += deviation if valid[b] else 0.0
        shift = total / count[0]
        mean[d] += shift
        variance[d] = (variance[d] + shift**2) * old_count
    for b in range(rows):
        if valid[b]:
            for d in range(columns):
                variance[d] += (x[b, d] - mean[d]) ** 2
    for d in range(columns):
        variance[d] /= count[0]


@kernel
def standardize(x, mean, variance, limit, standardized):
    """Shift and scale each column with its running moments, and clip it. The backward pass treats it as a constant.

    x'_bd = clip((x_bd - mean_d) / sqrt(variance_d + 1e-8), -limit, limit);   NaN stays NaN.

    The constant 1e-8 is under the root, as in Gymnasium's NormalizeObservation and Stable-Baselines3's VecNormalize.

    Derivation: docs/gradients.md, "Running moments".

    Args:
        x: (B, D).
        mean, variance: (D,) each, float64, from `update_moments`.
        limit: largest absolute value of the output.
        standardized: output, (B, D), in the dtype of x, overwritten; can be the same array as x.
    """
    rows, columns = x.shape
    for start in range(0, rows, BLOCK):
        for d in range(columns):
            scale = 1.0 / math.sqrt(variance[d] + MOMENTS_EPS)
            for b in range(start, min(start + BLOCK, rows)):
                value = (x[b, d] - mean[d]) * scale
                value = limit if value > limit else value
                standardized[b, d] = -limit if value < -limit else value


@kernel
def discounted_sums(rewards, valid, dones, gamma, running, sums):
    """Discounted sum of the past rewards of each episode. Its standard deviation is used to scale the rewards.

    S_t = gamma S_{t-1} + r_t,   S_{t-1} = 0 in an episode's first step

    Stable-Baselines3's VecNormalize does the same. Gymnasium's NormalizeReward already drops S_{t-1} in the last step
    of an episode. An episode can continue in the next rollout, so `running` keeps S between rollouts.

    Derivation: docs/gradients.md, "Discounted reward".

    Args:
        rewards: r, (T, N).
        valid: (T, N) booleans: the transitions that count. Rewards and dones of the others are ignored.
        dones: (T, N) booleans: transition t ended its episode.
        gamma: in [0, 1].
        running: (N,), float64, modified in place: S after the last valid transition, or 0 if that ended an episode.
        sums: output S, (T, N), float64, overwritten; 0 where not valid.
    """
    steps, envs = rewards.shape
    for t in range(steps):
        for n in range(envs):
            sums[t, n] = 0.0
            if valid[t, n]:
                running[n] = gamma * running[n] + rewards[t, n]
                sums[t, n] = running[n]
                if dones[t, n]:
                    running[n] = 0.0
