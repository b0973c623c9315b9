"""Running mean and variance, standardisation by them, and the discounted reward: for observations and rewards."""

import math

from kernels._jit import kernel

MOMENTS_EPS = 1e-8

# Rows whose columns are standardised one after another: few enough to stay in the cache, enough to share a square root.
BLOCK = 32


@kernel
def update_moments(x, valid, count, mean, variance):
    """Merge a batch's rows into the mean and the variance of all rows ever seen (Chan, Golub and LeVeque 1979).

    n' = n + n_B,   mean' = mean + sum_{b in B} (x_b - mean) / n'
    variance' = ((variance + (mean' - mean)^2) n + sum_{b in B} (x_b - mean')^2) / n'

    B are the n_B valid rows; a dash marks what is new. The variance is the population's (1/n). Two passes over the
    batch add up deviations: there are no large sums of squares to subtract. With n = 0 the results are the batch's own
    mean and variance; a batch without a valid row changes nothing.

    Derivation: docs/gradients.md, "Running moments".

    Args:
        x: (B, D).
        valid: (B,) booleans: the rows that count; the others may hold anything, NaN as well.
        count: n, (1,), float64, modified in place; 0 at the start.
        mean, variance: (D,) each, float64, modified in place; at the start 0 and 1, so that nothing is standardised.
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
    """Shift and scale each column by its running moments, and bound what comes out (a constant of the derivative).

    x'_bd = clip((x_bd - mean_d) / sqrt(variance_d + 1e-8), -limit, limit);   NaN stays NaN.

    The constant stands under the root, as in Gymnasium's NormalizeObservation and Stable-Baselines3's VecNormalize.

    Derivation: docs/gradients.md, "Running moments".

    Args:
        x: (B, D).
        mean, variance: (D,) each, float64, of `update_moments`.
        limit: largest absolute value that is let through.
        standardized: output, (B, D), in the dtype of x, overwritten; may be x itself.
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
    """Discounted reward so far in each episode, looking back; its variance is the scale of the rewards.

    S_t = gamma S_{t-1} + r_t,   S_{t-1} = 0 in an episode's first step

    As in Stable-Baselines3's VecNormalize; Gymnasium's NormalizeReward forgets S_{t-1} in the last step already. An
    episode goes on from one rollout to the next: `running` carries S over.

    Derivation: docs/gradients.md, "Discounted reward".

    Args:
        rewards: r, (T, N).
        valid: (T, N) booleans: the transitions that count; the others' rewards and dones are skipped.
        dones: (T, N) booleans: transition t ended its episode.
        gamma: in [0, 1].
        running: (N,), float64, modified in place: S after the last transition that counted, 0 where that was an end.
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
