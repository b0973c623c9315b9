"""Schedules, the KL-adaptive learning rate, and the value's own settings, in the training loop and after a restart."""

import dataclasses
import pickle
from itertools import pairwise

import numpy as np
import pytest
from distributed.thread_ranks import together

from kernels.loss import LOSS_TERMS
from ppo_np import PPO, DivergedError, PPOConfig, UserError
from ppo_np.learning.adaptive_lr import adapted
from ppo_np.network.optimizer import clip_gradient
from ppo_np.saving.checkpoint import read_checkpoint

SMALL = PPOConfig(
    env_id="CartPole-v1", total_timesteps=256, num_envs=2, num_steps=16, shared_sizes=(8,), value_sizes=(4,),
    update_epochs=2, num_minibatches=2, seed=3, learning_rate=5e-3,
)  # fmt: skip
ADAPTIVE = {"kl_adaptive_lr": 2e-3, "kl_adaptive_threshold": 1.2}
FUNCTION = "def falling(left):\n    return 0.005 * left + 0.0001\n"
OPTIONS = {
    "cosine and exponential": {"learning_rate_schedule": "cosine", "clip_coef_schedule": "exponential"},
    "adaptive": ADAPTIVE,
    "adaptive, the value apart": ADAPTIVE | {"value_learning_rate": 0.01, "max_grad_norm_value": 0.1},
    "value clip": {"value_clip_coef": 0.05, "clip_coef_schedule": "linear"},
    "a function in a file": {"learning_rate_schedule": "FILE:falling", "value_learning_rate": 0.01},
}


@pytest.fixture
def config_of(tmp_path):
    (tmp_path / "schedules.py").write_text(FUNCTION)

    def config_of(**settings):
        texts = {k: v.replace("FILE", f"{tmp_path}/schedules.py") for k, v in settings.items() if isinstance(v, str)}
        return dataclasses.replace(SMALL, **settings | texts)

    return config_of


def collected(ppo):
    rows = []
    ppo.learn(lambda _, metrics: rows.append(metrics))
    return [{k: v for k, v in dataclasses.asdict(row).items() if "time" not in k and k != "SPS"} for row in rows]


def numbers(ppo):
    state = ppo.state
    return np.concatenate([state.model.params, state.optimizer.m, state.optimizer.v, [state.adaptive_lr or 0]])


@pytest.mark.parametrize("name", OPTIONS)
def test_a_run_that_was_saved_in_the_midst_of_a_rollout_goes_on_bit_for_bit(config_of, name, tmp_path):
    config = config_of(**OPTIONS[name])
    whole = PPO(config)
    rows = collected(whole)
    first = PPO(config)
    step, calls = first.stream.step, []

    def counted(actions):
        calls.append(1)
        if len(calls) == 3 * 16 + 5:
            first.stop()
        return step(actions)

    first.stream.step = counted
    begun = collected(first)
    assert len(begun) == 3
    first.save(tmp_path / "checkpoint.h5")
    (tmp_path / "config.json").touch()  # as in a run folder, of which no warning says what it runs
    loaded = PPO.load(tmp_path / "checkpoint.h5")
    np.testing.assert_equal(begun + collected(loaded), rows)
    np.testing.assert_array_equal(numbers(loaded), numbers(whole))
    np.testing.assert_equal(begun + collected(first), rows)
    plain = PPO(SMALL)
    collected(plain)
    assert not np.array_equal(numbers(plain), numbers(whole))


def test_schedules_reach_the_metrics():
    function = dataclasses.replace(SMALL, learning_rate_schedule=lambda left: 0.01 + left / 100)
    assert [row["learning_rate"] for row in collected(PPO(function))] == [0.01 + (1 - k / 8) / 100 for k in range(8)]


def with_kls(ppo, monkeypatch, kls):
    """Let the minibatches have these approx_kl."""
    original, kls = ppo.policy.model.loss_and_gradient, iter(kls)

    def with_kl(*arguments):
        terms = original(*arguments)
        terms[LOSS_TERMS.index("approx_kl")] = next(kls)
        return terms

    monkeypatch.setattr(ppo.policy.model, "loss_and_gradient", with_kl)


def test_the_rule_takes_the_mean_of_the_last_epoch(monkeypatch):
    ppo = PPO(dataclasses.replace(SMALL, kl_adaptive_lr=0.01))
    # The last epochs: mean 0.021 (above 0.02), 0.02, 0.005, 0.004 (below 0.005), 0, and thrice far above.
    last = [(0.0, 0.042), (0.04, 0.0), (0.01, 0.0), (0.0, 0.008), (0.0, 0.0), (1, 1), (1, 1), (1, 1)]
    with_kls(ppo, monkeypatch, [kl for pair in last for kl in (9.0, 9.0, *pair)])
    lr = 5e-3 / 1.5
    expected = [5e-3, lr, lr, lr, lr * 1.5, lr * 1.5, lr * 1.5 / 1.5, lr * 1.5 / 1.5 / 1.5]
    assert [row["learning_rate"] for row in collected(ppo)] == expected
    assert ppo.state.adaptive_lr == expected[-1] / 1.5


def test_an_early_stop_makes_its_epoch_the_last_one(monkeypatch):
    ppo = PPO(dataclasses.replace(SMALL, kl_adaptive_lr=0.01, target_kl=0.5, total_timesteps=64))
    with_kls(ppo, monkeypatch, [9.0, 9.0, *[0.001] * 4])
    assert [row["learning_rate"] for row in collected(ppo)] == [5e-3, 5e-3 / 1.5]
    assert ppo.state.adaptive_lr == 5e-3 / 1.5 * 1.5


def test_the_rule_has_limits_and_settings():
    config = dataclasses.replace(SMALL, kl_adaptive_lr=0.01)
    assert adapted(dataclasses.replace(config, learning_rate=1.2e-5), 1.0) == 1e-5
    assert adapted(dataclasses.replace(config, learning_rate=9e-3), 1e-9) == 1e-2
    other = dataclasses.replace(
        config, kl_adaptive_threshold=4, kl_adaptive_factor=3, kl_adaptive_min_lr=2e-3, kl_adaptive_max_lr=0.1
    )
    kls = 0.041, 0.04, 0.0025, 0.0024, 0.0, -1e-9
    assert [adapted(other, kl) for kl in kls] == [2e-3, 5e-3, 5e-3, 5e-3 * 3, 5e-3, 5e-3]


def test_a_run_without_the_rule_keeps_no_learning_rate(tmp_path):
    ppo = PPO(SMALL)
    ppo.save(tmp_path / "plain.h5")
    assert read_checkpoint(tmp_path / "plain.h5").adaptive_lr is ppo.state.adaptive_lr is None
    assert b"adaptive_lr" not in (tmp_path / "plain.h5").read_bytes().replace(b"kl_adaptive_lr", b"")


def test_a_function_from_python_is_to_be_given_again(tmp_path):
    def slowly(left):
        return 0.003 * left**0.5

    config = dataclasses.replace(SMALL, learning_rate_schedule=slowly, total_timesteps=96)
    whole = PPO(config)
    rows = collected(whole)
    ppo = PPO(config)
    ppo.learn(lambda ppo, _: ppo.stop())
    ppo.save(tmp_path / "checkpoint.h5")

    without = PPO.load(tmp_path / "checkpoint.h5")
    without.predict(np.zeros(4, np.float32))
    with pytest.raises(UserError, match="^learning_rate_schedule was a function given from Python, which a fil"):
        without.learn()
    loaded = PPO.load(tmp_path / "checkpoint.h5", schedules={"learning_rate_schedule": slowly})
    np.testing.assert_equal(collected(loaded), rows[1:])
    np.testing.assert_array_equal(numbers(loaded), numbers(whole))
    with pytest.raises(UserError, match="^schedules is 'clip_coef_schedule', but it must be one of learning_"):
        PPO.load(tmp_path / "checkpoint.h5", schedules={"clip_coef_schedule": slowly})
    PPO(SMALL).save(tmp_path / "plain.h5")
    with pytest.raises(UserError, match="must be left away, because none of the run's schedules is a function"):
        PPO.load(tmp_path / "plain.h5", schedules={"clip_coef_schedule": slowly})


def test_a_policy_whose_training_had_a_function_can_be_pickled():
    ppo = PPO(dataclasses.replace(SMALL, ent_coef_schedule=lambda left: 0.01 * left))
    again = pickle.loads(pickle.dumps(ppo.policy))
    assert again.predict(np.ones(4, np.float32)) == ppo.predict(np.ones(4, np.float32))
    assert callable(ppo.config.ent_coef_schedule)


def test_a_file_is_run_once_and_early(config_of, tmp_path):
    config = config_of(learning_rate_schedule="FILE:falling")
    counting = f"with open({str(tmp_path / 'runs')!r}, 'a') as file:\n    file.write('x')\n"
    (tmp_path / "schedules.py").write_text(counting + FUNCTION)
    ppo = PPO(config)
    assert (tmp_path / "runs").read_text() == "x"
    ppo.learn()
    assert (tmp_path / "runs").read_text() == "x"
    ppo.save(tmp_path / "checkpoint.h5")
    read_checkpoint(tmp_path / "checkpoint.h5")
    with pytest.warns(RuntimeWarning, match=r"^the schedules of checkpoint '.*' run .*schedules.py.$"):
        loaded = PPO.load(tmp_path / "checkpoint.h5")
    assert (tmp_path / "runs").read_text() == "x"  # `predict` does not need it
    loaded.learn()
    (tmp_path / "schedules.py").unlink()
    (tmp_path / "config.json").touch()
    with pytest.raises(UserError, match="schedules.py:falling', but there is no such file.$"):
        PPO(config)
    with pytest.raises(UserError, match="schedules.py:falling', but there is no such file.$"):
        PPO.load(tmp_path / "checkpoint.h5").learn()


def test_a_function_that_fails_leaves_a_state_that_can_be_saved(tmp_path):
    config = dataclasses.replace(SMALL, ent_coef_schedule=lambda left: 0.01 if left > 0.5 else float("nan"))
    ppo = PPO(config)
    with pytest.raises(UserError, match="^ent_coef_schedule gives nan with 0.5 of the run left, but it must give"):
        ppo.learn()
    assert (ppo.update, ppo.resumable) == (4, True)


def test_all_ranks_take_the_values_of_rank_0():
    def work(ranks):
        calls = []

        def function(left):
            calls.append(left)
            return 0.01 * left / (1 + ranks.rank)

        config = dataclasses.replace(SMALL, learning_rate_schedule=function, total_timesteps=64)
        rows = collected(PPO(config, ranks=ranks).learn() and PPO(config, ranks=ranks))
        return [row["learning_rate"] for row in rows], len(calls)

    assert together(2, work) == [([0.01, 0.005], 4), ([0.01, 0.005], 0)]


def test_the_value_only_parameters_have_a_learning_rate_and_a_norm_of_their_own(monkeypatch):
    """The first step of Adam, by the formula, for each part."""
    config = dataclasses.replace(
        SMALL, total_timesteps=32, update_epochs=1, num_minibatches=1, anneal_lr=False, value_learning_rate=0.02,
        max_grad_norm=0.25, max_grad_norm_value=0.125, vf_coef=5.0, ent_coef=1.0, norm_adv=False,
    )  # fmt: skip
    ppo = PPO(config)
    model = ppo.policy.model
    before, grads = model.params.copy(), []
    names = [name for name in model.shapes if name.startswith("value/")]
    own = np.concatenate([model.named(np.arange(model.params.size))[name].reshape(-1) for name in names])
    assert (own == np.arange(model.value_start, model.params.size)).all()
    monkeypatch.setattr(
        "ppo_np.learning.ppo.clip_gradient",
        lambda *arguments: (grads.append(arguments[0].copy()), clip_gradient(*arguments)),
    )
    (row,) = collected(ppo)
    g = grads[0].astype(np.float64)
    assert row["grad_norm"] == pytest.approx(np.linalg.norm(g), rel=1e-6)
    expected = before.astype(np.float64)
    for part, lr, max_norm in ((slice(0, own[0]), 5e-3, 0.25), (slice(own[0], None), 0.02, 0.125)):
        assert np.linalg.norm(g[part]) > max_norm
        g[part] *= max_norm / np.linalg.norm(g[part])
        assert np.linalg.norm(model.grads[part]) == pytest.approx(max_norm, rel=1e-6)
        expected[part] -= lr * g[part] / (np.abs(g[part]) + 1e-5)  # in the first step mhat = g and vhat = g^2
    np.testing.assert_allclose(model.params, expected, rtol=2**-23, atol=2e-8)


def test_the_defaults_are_the_same_as_giving_them_bit_for_bit():
    whole = PPO(SMALL)
    collected(whole)
    for settings in ({"value_clip_coef": 0.2, "anneal_clip_coef": False}, {"value_learning_rate": 5e-3}):
        ppo = PPO(dataclasses.replace(SMALL, **settings))
        collected(ppo)
        np.testing.assert_array_equal(numbers(ppo), numbers(whole))


def test_a_crash_has_the_learning_rate_in_force(monkeypatch):
    ppo = PPO(dataclasses.replace(SMALL, **ADAPTIVE, value_learning_rate=0.01, value_clip_coef=0.3))
    rates = []

    def spoil(ppo, metrics):
        rates.append(ppo.state.adaptive_lr)
        if ppo.update == 3:
            ppo._buffer.rewards[:] = 0
            monkeypatch.setattr(ppo._buffer, "compute_advantages", lambda *_: ppo._buffer.returns.fill(np.nan))

    with pytest.raises(DivergedError) as error:
        ppo.learn(spoil)
    config = error.value.crash.config
    assert config.learning_rate == rates[-1] != SMALL.learning_rate
    assert config.value_learning_rate == 0.01 * (rates[-1] / SMALL.learning_rate)
    assert all(later in (lr, lr * 1.5, lr / 1.5, 1e-2) for lr, later in pairwise(rates))
