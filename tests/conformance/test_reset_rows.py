"""What training does with reset rows: nothing. They enter no minibatch and no counter, whatever they hold."""

import dataclasses
import math

import numpy as np
import pytest
from episodes import make, scripts_of

from ppo_np import PPO, PPOConfig
from ppo_np.learning import ppo
from ppo_np.learning.rollout import RolloutBuffer

CONFIG = PPOConfig(update_epochs=2, shared_sizes=(4,), total_timesteps=100)
LOSSES = ("policy_loss", "value_loss", "entropy", "approx_kl", "clipfrac", "grad_norm", "explained_variance")

# Three environments and 5 steps: at most 15 rows.
CASES = {
    "not a multiple": ("not aligned", 4, 3),
    "fewer rows than minibatches": ("every row", 5, 15),
    "single minibatch": ("two in a row", 5, 1),
    "one row a minibatch": ("long", 5, 15),
    "no reset row": ("long", 5, 5),
    "alternate rollouts without a row": ("every row", 1, 3),
}


def settings_of(case):
    lengths, num_steps, num_minibatches = CASES[case]
    config = dataclasses.replace(CONFIG, num_envs=3, num_steps=num_steps, num_minibatches=num_minibatches)
    return scripts_of(lengths, "mixed"), config


@pytest.fixture
def gathered(monkeypatch):
    """The rows of each minibatch so far."""
    parts, gather = [], RolloutBuffer.gather

    def spy(self, rows, *args):
        parts.append(rows.copy())
        gather(self, rows, *args)

    monkeypatch.setattr(RolloutBuffer, "gather", spy)
    return parts


@pytest.mark.parametrize("way", ["sync-same", "sync-next", "native-next"])
@pytest.mark.parametrize("case", CASES)
def test_each_epoch_takes_exactly_the_valid_rows_once(case, way, gathered):
    scripts, config = settings_of(case)
    steps, orders = [0], []

    def check(trained, metrics):
        rows = np.flatnonzero(trained._buffer.valid)
        count = min(len(rows), config.num_minibatches)
        assert len(gathered) == config.update_epochs * count
        for epoch in np.split(np.arange(len(gathered)), config.update_epochs):
            parts = [gathered[i] for i in epoch]
            sizes = [len(part) for part in parts]
            assert not sizes or max(sizes) - min(sizes) <= (len(rows) % count > 0)
            assert sorted(np.concatenate([*parts, []])) == list(rows)
            orders.append(tuple(np.concatenate([*parts, []])))
        gathered.clear()
        steps.append(steps[-1] + len(rows))
        assert (trained.global_step, metrics.step) == (steps[-1], steps[-1])
        for name in LOSSES[:-1]:
            assert math.isnan(getattr(metrics, name)) == (len(rows) == 0), name

    trained = PPO(config, make(way, scripts)).learn(check)
    assert steps[-2] < config.total_timesteps <= steps[-1]
    assert np.isfinite(trained.policy.model.params).all()
    assert len(set(orders)) > 5  # in a new order each time
    trained.close()


@pytest.mark.parametrize("way", ["sync-next", "native-next"])
def test_a_rollout_of_reset_rows_alone_changes_nothing(way):
    scripts, config = settings_of("alternate rollouts without a row")
    rows, params = [], []

    def note(trained, metrics):
        rows.append(metrics)
        params.append(trained.policy.model.params.copy())

    trained = PPO(dataclasses.replace(config, norm_obs=True, norm_reward=True, learning_rate=1e-2), make(way, scripts))
    trained.learn(note)
    assert [row.step for row in rows] == [3 * (update // 2 + 1) for update in range(len(rows))]
    assert [row.episodes for row in rows] == [3 * (update % 2 == 0) for update in range(len(rows))]
    for before, after, update in zip(params, params[1:], range(1, len(rows)), strict=False):
        assert np.array_equal(before, after) == (update % 2 == 1)
    assert all(math.isnan(getattr(row, name)) for row in rows[1::2] for name in (*LOSSES, "episodic_return"))
    assert trained.policy.obs_moments.count == trained.reward_scaler.moments.count == trained.global_step
    trained.close()


def test_a_rollout_of_reset_rows_alone_has_no_divergence_to_stop_at():
    scripts, config = settings_of("alternate rollouts without a row")
    trained = PPO(dataclasses.replace(config, target_kl=0.1), make("sync-next", scripts)).learn()
    assert trained.global_step >= config.total_timesteps
    trained.close()


@pytest.mark.parametrize("normalize", [False, True], ids=["as it is", "normalised"])
@pytest.mark.parametrize("way", ["sync-next", "native-next"])
def test_what_reset_rows_hold_never_matters(way, normalize, monkeypatch):
    """Training is the same bit for bit with NaN in every number of every reset row."""
    scripts, config = settings_of("not a multiple")
    config = dataclasses.replace(config, norm_obs=normalize, norm_reward=normalize, learning_rate=1e-2)
    clean, clean_rows = trained_with(config, make(way, scripts))
    collect = ppo.collect

    def spoiled(stream, policy, batch, buffer, *args, **kwargs):
        report = collect(stream, policy, batch, buffer, *args, **kwargs)
        resets = ~buffer.valid
        for array in (buffer.obs, buffer.logprobs, buffer.rewards, buffer.values[:-1]):
            array[resets] = np.nan
        buffer.actions[resets] = (buffer.actions[resets] + 1) % 3
        spoiled.rows += np.count_nonzero(resets)
        return report

    spoiled.rows = 0
    monkeypatch.setattr(ppo, "collect", spoiled)
    dirty, dirty_rows = trained_with(config, make(way, scripts))
    assert spoiled.rows > 20
    assert np.array_equal(clean.policy.model.params, dirty.policy.model.params)
    np.testing.assert_equal(clean.state.normalizer_arrays(), dirty.state.normalizer_arrays())
    for name in (*LOSSES, "step"):
        one, other = ([getattr(row, name) for row in rows] for rows in (clean_rows, dirty_rows))
        np.testing.assert_array_equal(one, other, err_msg=name)


def trained_with(config, envs):
    rows = []
    trained = PPO(config, envs).learn(lambda _, metrics: rows.append(metrics))
    trained.close()
    return trained, rows
