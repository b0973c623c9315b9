"""Callbacks of `learn`: what stops, what is logged, and the ready-made ones."""

import csv

import numpy as np
import pytest
import sample_environments  # noqa: F401  registers the test environments
from leveled import Leveled

import ppo_np
from ppo_np import PPO, PPOConfig, UserError
from ppo_np.callbacks import EvaluateEvery, SaveEvery, SetAttribute, StopAtReturn

SMALL = PPOConfig(
    env_id="ppo_np_test/Counting-v0", total_timesteps=64, num_envs=2, num_steps=4, num_minibatches=2, update_epochs=1,
    shared_sizes=(4,),
)  # fmt: skip


def rows_of(folder, name="metrics.csv"):
    with open(folder / name, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("result", "updates"), [(False, 3), (np.False_, 3), (None, 8), (True, 8), (0, 8), ("", 8), (np.array([]), 8)]
)
def test_false_stops_after_the_update(result, updates):
    ppo = PPO(SMALL).learn(lambda ppo, metrics: result if metrics.update == 3 else None)
    assert ppo.update == updates
    assert ppo.learn().update == 8


def test_all_callbacks_of_a_list_are_called():
    called = []
    callbacks = [lambda ppo, metrics: False, lambda ppo, metrics: called.append(metrics.update)]
    assert PPO(SMALL).learn(callbacks).update == 1
    assert called == [1]
    with pytest.raises(UserError, match=r"^callback is 3, but it must be a function or a list of functions; config\."):
        PPO(SMALL).learn([called.append, 3])


def test_what_is_logged_is_the_mean_of_an_update(tmp_path):
    def callback(ppo, metrics):
        ppo.log("twice", metrics.update)
        ppo.log("twice", np.float32(metrics.update + 1))
        if metrics.update >= 3:
            ppo.log("mine/late", True)

    PPO(SMALL).learn(callback, run_dir=tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert [row["twice"] for row in rows] == [str(update + 0.5) for update in range(1, 9)]
    assert [row["mine/late"] for row in rows] == ["", "", *["1.0"] * 6]
    assert list(rows[0])[-2:] == ["twice", "mine/late"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("a,b", 1, "name is 'a,b', but it must be a name without commas"),
        ("step", 1, "name is 'step', but it must be a name without commas"),
        (3, 1, "name is 3, but it must be a name"),
        ("a", "0.5", "a is '0.5', but it must be a number."),
        ("a", np.ones(2), "a is array([1., 1.]), but it must be a number."),
    ],
)
def test_only_numbers_with_a_name_are_logged(name, value, sentence):
    with pytest.raises(UserError) as refused:
        PPO(SMALL).log(name, value)
    assert str(refused.value).startswith(sentence)


def test_the_logs_are_whole_when_a_callback_fails(tmp_path):
    def callback(ppo, metrics):
        ppo.log("before", 1)
        assert metrics.update < 3

    with pytest.raises(AssertionError):
        PPO(SMALL, Leveled).learn(callback, run_dir=tmp_path / "run")
    assert [row["before"] for row in rows_of(tmp_path / "run")] == ["1.0"] * 3
    assert PPO.load(tmp_path / "run", Leveled).update == 3


def test_stop_at_return():
    stop = StopAtReturn(4.0, min_episodes=3)
    ppo = PPO(SMALL).learn(stop)
    assert ppo.update == 2  # two episodes after 4 steps of each environment, then four, of 3 to 8 points
    assert PPO(SMALL).learn(StopAtReturn(1e9)).update == 8
    with pytest.raises(UserError, match=r"^min_episodes is 101, but it must be an integer from 1 to 100\.$"):
        StopAtReturn(1, 101)


def test_save_every(tmp_path):
    PPO(SMALL, Leveled).learn(SaveEvery(3, tmp_path / "saved"))
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["step_24.h5", "step_48.h5"]
    assert PPO.load(tmp_path / "saved" / "step_24.h5", Leveled).update == 3
    PPO(SMALL).learn(SaveEvery(8), run_dir=tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints" / "step_64.h5").exists()
    with pytest.raises(UserError, match=r"^folder is None, but it must be given to SaveEvery, or learn must have"):
        PPO(SMALL).learn(SaveEvery(1))


def test_evaluate_every(tmp_path):
    evaluate, plain = EvaluateEvery(3, episodes=2), PPO(SMALL).learn()
    ppo = PPO(SMALL).learn(evaluate, run_dir=tmp_path / "run")
    rows = rows_of(tmp_path / "run", "evaluations.csv")
    assert [row["update"] for row in rows] == ["3", "6", "8"]
    assert evaluate.best_return == max(float(row["mean_return"]) for row in rows)
    logged = [row["eval/mean_return"] for row in rows_of(tmp_path / "run")]
    assert [logged[2], logged[5], logged[7]] == [row["mean_return"] for row in rows]
    assert logged.count("") == 5
    np.testing.assert_array_equal(ppo.policy.model.params, plain.policy.model.params)
    closed = []
    ppo.stream.guests[0].env.close = lambda: closed.append(1)
    ppo.close()
    assert closed == [1]


def test_evaluate_every_without_an_id(tmp_path):
    ppo = PPO(SMALL, Leveled)
    with pytest.raises(UserError, match=r"^env is None, but it must be a function, as the training has no env_id\.$"):
        ppo.learn(EvaluateEvery(1, folder=tmp_path))
    evaluate = EvaluateEvery(1, 1, env=Leveled, folder=tmp_path / "new")
    ppo.learn(evaluate)
    assert np.isfinite(evaluate.best_return)
    assert len(rows_of(tmp_path / "new", "evaluations.csv")) == 7


def test_set_attribute():
    seen = []
    curriculum = SetAttribute("level", lambda done: np.float64(np.round(2 * done)))
    PPO(SMALL, Leveled).learn([curriculum, lambda ppo, metrics: seen.append(ppo.get_attr("level"))])
    assert seen == [[round(2 * update / 8)] * 2 for update in range(1, 9)]


def test_the_module_is_an_attribute_of_the_package():
    assert ppo_np.callbacks.StopAtReturn is StopAtReturn
