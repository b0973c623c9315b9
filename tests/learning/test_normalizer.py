"""Running statistics of observations and rewards as training uses them; their kernels have their own tests."""

from copy import deepcopy

import gymnasium
import numpy as np
import pytest

from kernels.moments import MOMENTS_EPS
from ppo_np import PPO, PPOConfig
from ppo_np.learning import normalizer
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


@pytest.mark.parametrize("columns", [1, 2, 5, 99])
def test_scaled_rows_count_as_all_at_once(columns, monkeypatch):
    """Bit for bit, however many columns are in memory at a time."""
    monkeypatch.setattr(normalizer, "SCALED_NUMBERS", 20 * columns)
    rng, whole, parts = np.random.default_rng(0), RunningMoments(5), RunningMoments(5)
    for _ in range(2):
        rows, valid = rng.integers(0, 256, (20, 5), dtype=np.uint8), rng.random(20) < 0.8
        whole.update(rows * np.float32(1 / 255), valid)
        parts.update_scaled(rows, np.float32(1 / 255), valid)
    np.testing.assert_equal(parts.arrays(), whole.arrays())
    assert whole.count > 20


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


class Offset(gymnasium.Env):
    """Observation 1 is `offset` + a number from 0 to `spread`; the others are constant, or noise of float64."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, offset, spread, dtype=np.float64):
        self.offset, self.spread = offset, spread
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), dtype)

    def _obs(self):
        number, noise = self.np_random.random(2)
        return np.array([0.1, self.offset + self.spread * number, 0.1 + 1e-15 * noise]).astype(
            self.observation_space.dtype
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action):
        return self._obs(), 1.0, False, False, {}


def warnings_of(recwarn, num_envs=2, norm_obs=True, **env):
    config = PPOConfig(
        num_envs=num_envs, num_steps=8, num_minibatches=1, total_timesteps=64, shared_sizes=(4,), norm_obs=norm_obs
    )
    ppo = PPO(config, lambda: Offset(**env))
    ppo.learn()
    ppo.close()
    return [str(warning.message) for warning in recwarn.list]


@pytest.mark.parametrize("num_envs", [1, 2])
@pytest.mark.parametrize(
    ("offset", "spread", "dtype"), [(1e9, 10, np.float64), (-2e6, 1e-2, float), (10**9, 50, np.int64)]
)
def test_numbers_that_float32_cannot_hold_are_told_once(recwarn, num_envs, offset, spread, dtype):
    (message,) = warnings_of(recwarn, num_envs, offset=offset, spread=spread, dtype=dtype)
    assert message.startswith(f"number 1 of the observations is near {abs(offset):g} and changes by ")
    assert f"but float32 has steps of {np.spacing(np.float32(abs(offset))):g} there" in message


@pytest.mark.parametrize(
    ("offset", "spread", "dtype"),
    [(0, 1, np.float64), (1e9, 1e6, np.float64), (1e4, 1, np.float64), (1e9, 100, np.float32), (1e9, 0, np.float64)],
)
def test_other_numbers_are_not(recwarn, offset, spread, dtype):
    assert warnings_of(recwarn, offset=offset, spread=spread, dtype=dtype) == []


def test_without_normalisation_nobody_looks(recwarn):
    assert warnings_of(recwarn, norm_obs=False, offset=1e9, spread=10) == []
