"""Normalisation of observations and rewards by running statistics: one set for all environments, in float64."""

import warnings

import numpy as np

from kernels.moments import MOMENTS_EPS, discounted_sums, standardize, update_moments
from ppo_np.distributed.ranks import ALONE, Ranks

CLIP = 10.0
SCALED_NUMBERS = 2**20  # in memory at a time


class RunningMoments:
    """Mean and variance of all rows so far; 0 and 1 before the first row.

    Args:
        size: D, numbers per row.

    Attributes:
        count: (1,), number of rows. mean, variance: (D,). All float64, changed in place.
    """

    def __init__(self, size: int):
        self.count, self.mean, self.variance = np.zeros(1), np.zeros(size), np.ones(size)

    def arrays(self) -> dict[str, np.ndarray]:
        """The statistics by name, for a checkpoint."""
        return {"count": self.count, "mean": self.mean, "variance": self.variance}

    def update(self, rows: np.ndarray, valid: np.ndarray, ranks: Ranks = ALONE) -> None:
        """Add the rows, (B, D), where `valid`, (B,), is True, and those of all other ranks."""
        if ranks.size == 1:
            update_moments(rows, valid, self.count, self.mean, self.variance)
            return
        own = RunningMoments(len(self.mean))
        own.update(rows, valid)
        groups = [self.arrays().values(), *ranks.allgather(tuple(own.arrays().values()))]
        counts, means, variances = map(np.array, zip(*groups, strict=True))
        if counts.any():
            self.count[:], self.mean[:], self.variance[:] = merge_moments(counts, means, variances)

    def update_scaled(self, rows: np.ndarray, scale: np.float32, valid: np.ndarray, ranks: Ranks = ALONE) -> None:
        """As `update` with rows * scale, (B, D) float32, of which only some columns are in memory at a time."""
        columns = max(1, SCALED_NUMBERS // max(len(rows), 1))
        group = RunningMoments(0)
        for start in range(0, len(self.mean), columns):
            part = slice(start, start + columns)
            group.count, group.mean, group.variance = self.count.copy(), self.mean[part], self.variance[part]
            group.update(rows[:, part] * scale, valid, ranks)
        self.count[:] = group.count

    def standardize(self, rows: np.ndarray, normalized: np.ndarray) -> None:
        """Write (rows - mean) / std, clipped to +-10, (B, D), into `normalized`, which may be `rows`."""
        standardize(rows, self.mean, self.variance, CLIP, normalized)


class RoundingCheck:
    """Warns once if float32, in which observations are kept, loses what one of their numbers says.

    That is so if the number is large and changes little, as a time stamp or a price may be: rounding to float32 changes
    it by more than a sixteenth of its spread. Smaller spreads than 1e-12 of its size are the noise of float64.

    Args:
        size: D, numbers of a flat observation.
    """

    def __init__(self, size: int):
        self._low, self._high, self._error = np.full(size, np.inf), np.full(size, -np.inf), np.zeros(size)
        self._warned = False

    def add(self, flat_obs: np.ndarray) -> None:
        """Look at some finite flat observations, (B, D) float64, of all the time so far."""
        if self._warned:
            return
        np.minimum(self._low, flat_obs.min(axis=0), out=self._low)
        np.maximum(self._high, flat_obs.max(axis=0), out=self._high)
        np.maximum(self._error, abs(flat_obs - flat_obs.astype(np.float32)).max(axis=0), out=self._error)
        spread, largest = self._high - self._low, np.maximum(abs(self._low), abs(self._high))
        lost = (16 * self._error > spread) & (spread > 1e-12 * largest)
        if lost.any():
            self._warned, i = True, int(lost.argmax())
            what = f"number {i} of the observations is near {largest[i]:g} and changes by {spread[i]:g}"
            step = np.spacing(np.float32(largest[i]))
            remedy = "the network cannot see it; let the environment subtract a constant from it"
            warnings.warn(f"{what}, but float32 has steps of {step:g} there: {remedy}.", RuntimeWarning, 2)


class RewardScaler:
    """Divides rewards by the standard deviation of the discounted sum of rewards (Engstrom et al. 2020, section 3).

    The mean is not subtracted: shifting rewards would change the optimal policy.

    Args:
        num_envs: N, of this rank. gamma: discount factor of the sums.

    Attributes:
        moments: of the discounted sums.
        running: (N,), discounted sum of the current episode in each environment.
    """

    def __init__(self, num_envs: int, gamma: float):
        self.gamma = gamma
        self.moments = RunningMoments(1)
        self.running = np.zeros(num_envs)

    def arrays(self) -> dict[str, np.ndarray]:
        """The statistics and the sums by name, for a checkpoint."""
        return self.moments.arrays() | {"running": self.running}

    def scale(self, rewards: np.ndarray, valid: np.ndarray, dones: np.ndarray, ranks: Ranks = ALONE) -> None:
        """Add the rewards of a rollout to the statistics, then scale them in place by these statistics.

        rewards, valid and dones are (T, N); the rollouts of all `ranks` are added.
        """
        sums = np.zeros(rewards.shape)
        discounted_sums(rewards, valid, dones, self.gamma, self.running, sums)
        self.moments.update(sums.reshape(-1, 1), valid.reshape(-1), ranks)
        scaled = rewards / np.sqrt(self.moments.variance + MOMENTS_EPS)
        np.clip(scaled, -CLIP, CLIP, out=rewards)


def merge_moments(
    counts: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, mean and variance of several groups together, from those of each group (Chan, Golub and LeVeque 1979).

    n = sum_g n_g,   mean = sum_g n_g mean_g / n,   variance = sum_g n_g (variance_g + (mean_g - mean)^2) / n

    Args:
        counts: (G, 1) or (G, D), in no column all 0. means, variances: (G, D), the population's (1/n).

    Returns:
        n, (1,) or (D,); mean and variance, (D,).
    """
    count = counts.sum(axis=0)
    mean = (counts * means).sum(axis=0) / count
    return count, mean, (counts * (variances + (means - mean) ** 2)).sum(axis=0) / count
