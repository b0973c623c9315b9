"""Running statistics of observations and rewards as training uses them; their kernels have their own tests."""

from copy import deepcopy

import numpy as np
import pytest

from kernels.moments import MOMENTS_EPS
from ppo_np.learning.normalizer import CLIP, RewardScaler, RunningMoments


def draw(*shape):
    return np.random.default_rng(0).normal(3, 5, shape)


def test_before_anything_was_seen_rows_pass_through_but_for_the_limit():
    rows = np.array([[0.5, -2.0, 10.5, -1e9]])
    moments, normalized = RunningMoments(4), np.full((1, 4), np.nan)
    moments.standardize(rows, normalized)
    np.testing.assert_allclose(normalized, [[0.5, -2.0, CLIP, -CLIP]], rtol=1e-7)


def test_rows_come_out_with_mean_0_and_standard_deviation_1():
    rows, moments = draw(1000, 3), RunningMoments(3)
    moments.update(rows[:400], np.ones(400, bool))
    moments.update(rows[400:], np.ones(600, bool))
    moments.standardize(rows, rows)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0), 1, rtol=1e-9)
    assert moments.count == 1000


def test_a_copy_stands_still():
    moments = RunningMoments(2)
    moments.update(draw(10, 2), np.ones(10, bool))
    twin = deepcopy(moments)
    before = {name: array.copy() for name, array in twin.arrays().items()}
    moments.update(100 * draw(10, 2), np.ones(10, bool))
    np.testing.assert_equal(twin.arrays(), before)
    assert not np.array_equal(twin.mean, moments.mean)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rewards_are_divided_by_the_spread_of_their_discounted_sums(dtype):
    rewards = draw(50, 2).astype(dtype)
    valid, dones = np.ones((50, 2), bool), np.zeros((50, 2), bool)
    dones[[9, 30], [0, 1]] = True
    scaler, scaled = RewardScaler(2, gamma=0.9), rewards.copy()
    scaler.scale(scaled, valid, dones)
    sums, running = [], np.zeros(2)
    for t in range(50):
        running = 0.9 * running + rewards[t]
        sums.append(running)
        running = np.where(dones[t], 0, running)
    expected = np.clip(rewards / np.sqrt(np.var(sums, dtype=np.float64) + MOMENTS_EPS), -CLIP, CLIP)
    np.testing.assert_allclose(scaled, expected, rtol=1e-6 if dtype == np.float32 else 1e-12)
    np.testing.assert_allclose(scaler.running, running, rtol=1e-6)


def test_large_rewards_are_bounded():
    rewards = np.zeros((1000, 1))
    rewards[-1] = 1e6
    RewardScaler(1, gamma=0.0).scale(rewards, np.ones((1000, 1), bool), np.zeros((1000, 1), bool))
    assert rewards[-1] == CLIP
