"""Running statistics in training: of the valid rows alone, still within a rollout, the same for acting and learning."""

import dataclasses
from functools import partial

import gymnasium
import numpy as np
import pytest
from episodes import MODES
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

from ppo_np import PPO, PPOConfig
from ppo_np.learning.normalizer import RewardScaler
from ppo_np.learning.rollout import RolloutBuffer

OBSERVATIONS = {
    "floats": spaces.Box(-np.inf, np.inf, (3,), np.float32),
    "image": spaces.Box(0, 255, (2, 3), np.uint8),
    "bytes": spaces.Box(0, 99, (4,), np.uint8),
}
ACTIONS = {"discrete": spaces.Discrete(3), "box": spaces.Box(-1, 1, (2,), np.float32)}
CONFIG = PPOConfig(
    num_envs=4, num_steps=25, num_minibatches=2, update_epochs=2, total_timesteps=500, learning_rate=1e-2,
    anneal_lr=False, shared_sizes=(8,), activation="tanh", norm_obs=True, gamma=0.9, seed=8,
)  # fmt: skip

either_mode = pytest.mark.parametrize("mode", MODES)


class Noise(gymnasium.Env):
    """Random observations, rewards with heavy tails, ends of either kind; the last float is always the same."""

    metadata = {"render_modes": []}

    def __init__(self, observations, actions):
        self.observation_space, self.action_space = OBSERVATIONS[observations], ACTIONS[actions]

    def _obs(self):
        space = self.observation_space
        if space.dtype == np.uint8:
            return self.np_random.integers(0, space.high, dtype=np.uint8)
        return np.float32([100, -5, 7.1] + self.np_random.standard_normal(3) * [0.5, 20, 0])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action):
        terminated, truncated = (bool(u < 0.1) for u in self.np_random.random(2))
        reward = 3 + self.np_random.standard_normal() + 1000 * (self.np_random.random() < 0.004)
        return self._obs(), float(reward), terminated, truncated, {}


def noise(mode, observations="floats", actions="discrete"):
    return SyncVectorEnv([partial(Noise, observations, actions)] * CONFIG.num_envs, autoreset_mode=MODES[mode])


@either_mode
@pytest.mark.parametrize("actions", ACTIONS)
@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_the_learning_network_sees_what_the_acting_one_saw(observations, actions, mode, monkeypatch):
    """Before the first gradient step of an update the ratio is 1, and V is the V of the rollout."""
    gather, checked = RolloutBuffer.gather, []

    def spy(self, indices, policy, minibatch):
        gather(self, indices, policy, minibatch)
        if len(checked) == ppo.update:
            activations = policy.model.activations(minibatch.rows)
            policy.model.forward(minibatch.obs, activations)
            distribution = activations.distribution
            distribution.forward(activations.policy_outputs, minibatch.actions)
            np.testing.assert_allclose(np.exp(distribution.logprobs - minibatch.old_logprobs), 1, atol=1e-6)
            np.testing.assert_allclose(activations.values, minibatch.old_values, rtol=1e-6, atol=1e-6)
            checked.append(np.abs(minibatch.obs).max())

    monkeypatch.setattr(RolloutBuffer, "gather", spy)
    ppo = PPO(CONFIG, noise(mode, observations, actions))
    ppo.learn()
    assert len(checked) == ppo.update >= 5
    assert 1 < np.max(checked[1:]) <= 10
    ppo.close()


@either_mode
@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_statistics_are_those_of_all_valid_observations_so_far(observations, mode, monkeypatch):
    normalize_obs, seen = RolloutBuffer.normalize_obs, []
    largest = {"floats": 110, "image": 1, "bytes": 99}[observations]

    def spy(self, policy, ranks):
        moments, scale = policy.obs_moments, policy.observations.scale if self.obs.dtype == np.uint8 else 1
        raw = (self.obs * scale).astype(np.float64)
        every = np.concatenate([*seen, np.zeros((0, raw.shape[-1]))])
        mean, variance = (every.mean(axis=0), every.var(axis=0)) if seen else (0.0, 1.0)
        assert_moments(moments, len(every), mean, variance)  # the rollout has not moved them
        seen.append(raw[self.valid])
        normalize_obs(self, policy, ranks)
        every = np.concatenate(seen)
        assert_moments(moments, len(every), every.mean(axis=0), every.var(axis=0))
        expected = np.clip((raw - mean) / np.sqrt(variance + 1e-8), -10, 10)
        rows = self.valid.size
        minibatch = policy.model.minibatch(rows)
        self.gather(np.arange(rows), policy, minibatch)
        np.testing.assert_allclose(minibatch.obs.reshape(raw.shape), expected, rtol=1e-6, atol=1e-5)

    monkeypatch.setattr(RolloutBuffer, "normalize_obs", spy)
    ppo = PPO(CONFIG, noise(mode, observations)).learn()
    assert len(seen) == ppo.update
    assert sum(map(len, seen)) == ppo.global_step
    assert 0.9 * largest < np.concatenate(seen).max() <= largest
    ppo.close()


def assert_moments(moments, count, mean, variance):
    assert moments.count == count
    np.testing.assert_allclose(moments.mean, np.broadcast_to(mean, moments.mean.shape), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        moments.variance, np.broadcast_to(variance, moments.variance.shape), rtol=1e-12, atol=1e-12
    )


@either_mode
def test_rewards_are_divided_by_the_spread_of_the_discounted_sums(mode, monkeypatch):
    """The oracle: every discounted sum so far, this rollout's included, and NumPy's variance of them."""
    scale, running, sums, clipped = RewardScaler.scale, np.zeros(CONFIG.num_envs), [], []
    expected = {}

    def spy(self, rewards, valid, dones, ranks):
        raw = rewards.astype(np.float64)
        for t, n in zip(*np.nonzero(valid), strict=True):
            running[n] = 0.3 * running[n] + raw[t, n]
            sums.append(running[n])
            running[n] = 0 if dones[t, n] else running[n]
        expected["rewards"] = np.clip(raw / np.sqrt(np.var(sums) + 1e-8), -10, 10)
        clipped.append((np.abs(expected["rewards"]) == 10).any())
        scale(self, rewards, valid, dones, ranks)

    def check(ppo, metrics):
        buffer, moments = ppo._buffer, ppo.reward_scaler.moments
        assert moments.count == len(sums) == metrics.step
        np.testing.assert_allclose(moments.mean, np.mean(sums), rtol=1e-12)
        np.testing.assert_allclose(moments.variance, np.var(sums), rtol=1e-12)
        np.testing.assert_allclose(ppo.reward_scaler.running, running, rtol=1e-12)
        np.testing.assert_allclose(buffer.rewards[buffer.valid], expected["rewards"][buffer.valid], rtol=1e-6)
        # The advantages are those of the scaled rewards: an episode's last row shows it.
        last = buffer.terminations & buffer.valid
        np.testing.assert_allclose(buffer.returns[last], expected["rewards"][last], rtol=1e-4, atol=1e-5)
        returns.extend(ppo.recent_episodes)

    returns = []
    monkeypatch.setattr(RewardScaler, "scale", spy)
    ppo = PPO(dataclasses.replace(CONFIG, norm_reward=True, gamma=0.3), noise(mode)).learn(check)
    assert any(clipped)
    assert max(abs(episode.episodic_return) for episode in returns) > 100  # reported as the environment gave them
    ppo.close()


def test_discounted_sums_begin_anew_with_the_environments(tmp_path):
    """Environments that cannot be brought back are reset, and no episode of theirs has begun; the statistics stay."""
    config = dataclasses.replace(CONFIG, norm_reward=True)
    ppo = PPO(config, noise("same")).learn()
    assert ppo.reward_scaler.running.any()
    ppo.save(tmp_path / "checkpoint.h5")
    with pytest.warns(RuntimeWarning, match=r"^environments 0, 1, 2, 3 could not be restored"):
        loaded = PPO.load(tmp_path / "checkpoint.h5", noise("same"))
    assert loaded.reward_scaler.moments.count == ppo.global_step
    assert loaded.reward_scaler.moments.variance == ppo.reward_scaler.moments.variance
    assert not loaded.reward_scaler.running.any()
    ppo.close()
    loaded.close()
