"""Running moments, standardisation and discounted rewards against NumPy: one step of 64 environments, and rollouts."""

import numpy as np
import pytest

from kernels import discounted_sums, standardize, update_moments

SHAPES = ["64x4", "2048x1", "2048x17", "4096x376"]


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


@pytest.fixture
def moments(rng, sizes):
    """Count, mean and variance after 1,000 rows."""
    columns = sizes[1]
    return np.array([1000.0]), rng.standard_normal(columns), 1 + rng.random(columns)


@pytest.mark.parametrize("shape", SHAPES)
def test_update_moments(kernel_or_numpy, rng, normal, sizes, moments):
    valid = rng.random(sizes[0]) < 0.98
    kernel_or_numpy(update_moments, numpy_update_moments, normal(*sizes), valid, *moments)


@pytest.mark.parametrize("shape", SHAPES)
def test_standardize(kernel_or_numpy, normal, sizes, moments):
    _, mean, variance = moments
    kernel_or_numpy(standardize, numpy_standardize, normal(*sizes), mean, variance, 2.0, normal(*sizes))


@pytest.mark.parametrize("shape", ["128x4", "128x64"])
def test_discounted_sums(kernel_or_numpy, rng, normal, sizes):
    valid, dones = rng.random(sizes) < 0.98, rng.random(sizes) < 0.02
    kernel_or_numpy(
        discounted_sums, numpy_discounted_sums, normal(*sizes), valid, dones,
        0.99, rng.standard_normal(sizes[1]), rng.standard_normal(sizes),
    )  # fmt: skip
