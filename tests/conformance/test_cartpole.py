"""CartPole of EnvPool and of Gymnasium's own vector version: both reset in the step after an episode's last one.

EnvPool is an extra: without it these tests are skipped, unless the environment variable PPO_NP_REQUIRE_ENVPOOL is set.
"""

import dataclasses
import importlib.util
import os

import numpy as np
import pytest
from rig import Rig

from ppo_np import PPO, PPOConfig
from ppo_np.environments.make import make_vector_env

TIME_LIMIT = 500
X_LIMIT, ANGLE_LIMIT = 2.4, np.deg2rad(12)
VALUE_WEIGHTS = np.array([1, -2, 3, 0.5])
BALANCE = np.array([0.1, 0.3, 3, 1])
CONFIG = PPOConfig(
    env_id="CartPole-v1", num_envs=3, num_env_threads=1, num_steps=60, shared_sizes=(), total_timesteps=1200, seed=5
)


@pytest.fixture
def envpool():
    missing = importlib.util.find_spec("envpool") is None
    if missing and not os.environ.get("PPO_NP_REQUIRE_ENVPOOL"):
        pytest.skip("envpool is not installed")
    assert not missing, "PPO_NP_REQUIRE_ENVPOOL is set, but envpool is not installed"
    return dataclasses.replace(CONFIG, vectorization="envpool")


@pytest.fixture(params=["envpool", "vector"])
def config(request):
    if request.param == "envpool":
        return request.getfixturevalue("envpool")
    return dataclasses.replace(CONFIG, vectorization=request.param)


def following(obs, actions):
    """The state one step later (Barto, Sutton and Anderson 1983), (..., 4): an oracle without Gymnasium."""
    x, dx, angle, spin = np.moveaxis(obs.astype(np.float64), -1, 0)
    push = np.where(actions == 1, 10.0, -10.0)
    sway = (push + 0.05 * spin**2 * np.sin(angle)) / 1.1
    turn = (9.8 * np.sin(angle) - np.cos(angle) * sway) / (0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1))
    drift = sway - 0.05 * turn * np.cos(angle) / 1.1
    return np.stack([x + 0.02 * dx, dx + 0.02 * drift, angle + 0.02 * spin, spin + 0.02 * turn], axis=-1)


class Recorder:
    """Steps environments and keeps their infos."""

    def __init__(self, envs, infos):
        self.envs, self.infos = envs, infos

    def step(self, actions):
        answer = self.envs.step(actions)
        self.infos.append(answer[-1])
        return answer


class History:
    """Rows of several rollouts after each other, (T, N, ...), and what the environments said beside."""

    def __init__(self, config, rollouts, policy_weights=0.0):
        self.infos, self.episodes, self.steps = [], [], 0
        parts = {name: [] for name in ("obs", "actions", "rewards", "terminations", "truncations", "valid", "values")}
        parts |= {"final_values": []}
        with Rig(make_vector_env(config), config.num_steps, weights=VALUE_WEIGHTS, seed=config.seed) as rig:
            rig.tensors["policy/head/weight"][:, 1] = policy_weights
            rig.stream.envs = Recorder(rig.envs, self.infos)
            for _rollout in range(rollouts):
                report = rig.collect()
                self.episodes += report.episodes
                self.steps += report.steps
                for name, collected in parts.items():
                    collected.append(getattr(rig.buffer, name)[: config.num_steps].copy())
        for name, collected in parts.items():
            setattr(self, name, np.concatenate(collected))
        self.dones = self.terminations | self.truncations
        self.elapsed = np.zeros(self.dones.shape, int)
        for t, n in np.ndindex(*self.dones.shape):
            self.elapsed[t, n] = (self.elapsed[t - 1, n] if t else 0) + 1 if self.valid[t, n] else 0


def check_rows(history):
    """Everything that must hold of any rollouts of CartPole with reset rows."""
    obs, valid, dones = history.obs, history.valid, history.dones
    assert valid[0].all()
    assert np.array_equal(valid[1:], ~dones[:-1])
    assert np.array_equal(history.rewards, valid)

    going_on, resets = valid[:-1], ~valid[:-1]
    np.testing.assert_allclose(
        following(obs[:-1], history.actions[:-1])[going_on], obs[1:][going_on], rtol=1e-5, atol=1e-5
    )
    assert (np.abs(obs[0]) <= 0.05).all()
    assert (np.abs(obs[1:][resets]) <= 0.05).all()

    fallen = (np.abs(obs[..., 0]) > X_LIMIT) | (np.abs(obs[..., 2]) > ANGLE_LIMIT)
    assert np.array_equal(fallen[1:] & going_on, history.terminations[:-1])
    assert np.array_equal(history.elapsed == TIME_LIMIT, history.truncations)

    np.testing.assert_allclose(history.values, obs @ VALUE_WEIGHTS + 0.5, rtol=1e-5, atol=1e-5)
    successors = history.final_values[:-1][dones[:-1]], history.values[1:][dones[:-1]]
    np.testing.assert_allclose(*successors, rtol=1e-6, atol=1e-6)

    lengths = history.elapsed[dones]
    assert [episode.episodic_length for episode in history.episodes] == list(lengths)
    assert [episode.episodic_return for episode in history.episodes] == list(lengths)
    assert history.steps == np.count_nonzero(valid)


def test_rows_of_an_episode_are_a_chain_that_ends_in_its_final_observation(config):
    history = History(config, rollouts=3)
    assert len(history.episodes) > 15
    check_rows(history)


def test_a_time_limit_truncates(config):
    config = dataclasses.replace(config, num_steps=TIME_LIMIT + 4)
    history = History(config, rollouts=1, policy_weights=1e4 * BALANCE)
    assert list(np.flatnonzero(history.truncations.all(axis=1))) == [TIME_LIMIT - 1]
    assert not history.terminations.any()
    check_rows(history)


def test_envpool_counts_the_same_steps(envpool):
    history = History(envpool, rollouts=3)
    assert np.array_equal([info["elapsed_step"] for info in history.infos], history.elapsed)


def learned(config):
    rows = []
    ppo = PPO(config).learn(lambda _, metrics: rows.append(metrics))
    ppo.close()
    return ppo, rows


def test_it_trains_and_the_seed_decides_everything(config):
    ppo, rows = learned(config)
    assert config.total_timesteps <= ppo.global_step < config.total_timesteps + config.batch_size
    assert np.isfinite(ppo.policy.model.params).all()
    assert sum(row.episodes for row in rows) > 20
    assert all(episode.episodic_return == episode.episodic_length for episode in ppo.recent_episodes)

    same, same_rows = learned(config)
    other, _ = learned(dataclasses.replace(config, seed=6))
    assert np.array_equal(ppo.policy.model.params, same.policy.model.params)
    assert [row.step for row in rows] == [row.step for row in same_rows]
    assert ppo.recent_episodes == same.recent_episodes
    assert not np.array_equal(ppo._buffer.obs, other._buffer.obs)
