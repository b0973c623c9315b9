"""Running moments, standardisation and discounted rewards in NumPy."""

import numpy as np


def numpy_update_moments(x, valid, count, mean, variance):
    """Merge as in Chan, Golub and LeVeque (1979), with one float64 copy of the valid rows to compute in."""
    rows = x[valid].astype(np.float64)
    batch_mean = rows.mean(axis=0)
    rows -= batch_mean
    squares = np.einsum("bd,bd->d", rows, rows)
    delta, total = batch_mean - mean, count[0] + len(rows)
    mean += delta * len(rows) / total
    variance *= count[0]
    variance += squares + delta**2 * count[0] * len(rows) / total
    variance /= total
    count[0] = total


def numpy_standardize(x, mean, variance, limit, standardized):
    """One float64 array of deviations, everything else in place."""
    deviations = x - mean
    deviations *= 1 / np.sqrt(variance + 1e-8)
    np.clip(deviations, -limit, limit, out=standardized, casting="same_kind")


def numpy_discounted_sums(rewards, valid, dones, gamma, running, sums):
    """One loop over time, vectorised over environments."""
    for t in range(len(rewards)):
        np.copyto(running, gamma * running + rewards[t], where=valid[t])
        np.multiply(running, valid[t], out=sums[t])
        running[valid[t] & dones[t]] = 0
