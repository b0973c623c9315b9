"""`PPO.learn(run_dir=...)`: the same files as the train command, and runs that either of the two goes on with."""

import inspect
import json
import re
import warnings

import numpy as np
import pytest
from commands import run
from leveled import Leveled
from small_train import SMALL as FLAGS
from small_train import rows_without_times

from ppo_np import PPO, DivergedError, PPOConfig, UserError
from ppo_np.evaluate import main as evaluate
from ppo_np.logs.tensorboard import read_events
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.setting_names import ARGUMENTS_OF_LEARN
from ppo_np.train import main

SMALL = PPOConfig(env_id="CartPole-v1", num_steps=16, shared_sizes=(8,), total_timesteps=256)


@pytest.fixture(scope="module")
def by_command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "command"
    assert run(main, *FLAGS, "--total-timesteps", 256, "--run-dir", folder, "--checkpoint-every", 2) == 0
    return folder


@pytest.fixture(scope="module")
def by_python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "python"
    ppo = PPO(SMALL).learn(run_dir=folder, checkpoint_every="2")
    assert ppo.run_dir == folder
    return folder


def scalars(folder):
    (path,) = folder.glob("events.*")
    return [
        (event.step, value.tag, value.simple_value)
        for event, _ in read_events(path.read_bytes())
        for value in event.summary.value
        if value.tag != "charts/SPS"
    ]


def test_it_leaves_what_the_command_leaves(by_command, by_python):
    names = [sorted(path.name.split(".vm")[0][:20] for path in folder.iterdir()) for folder in (by_command, by_python)]
    assert names[0] == names[1]
    assert rows_without_times(by_command) == rows_without_times(by_python)
    assert scalars(by_command) == scalars(by_python)
    configs = [json.loads((folder / "config.json").read_text()) for folder in (by_command, by_python)]
    assert configs[0] == configs[1]
    saved = [read_checkpoint(folder / "checkpoint.h5") for folder in (by_command, by_python)]
    for name, tensor in saved[0].tensors.items():
        np.testing.assert_array_equal(tensor, saved[1].tensors[name])


def test_a_stopped_run_goes_on_from_python_and_by_the_command(tmp_path, by_python):
    for name in ("python", "command"):
        PPO(SMALL).learn(lambda ppo, metrics: metrics.update < 3, run_dir=tmp_path / name)
    ppo = PPO.load(tmp_path / "python").learn(run_dir=tmp_path / "python")
    assert ppo.update == 4
    assert run(main, "--resume", tmp_path / "command") == 0
    assert rows_without_times(tmp_path / "python") == rows_without_times(tmp_path / "command")
    assert rows_without_times(tmp_path / "python") == rows_without_times(by_python)
    assert json.loads((tmp_path / "python" / "config.json").read_text())["resumed"] == [192]
    assert run(evaluate, tmp_path / "python", "--episodes", 1) == 0


def test_one_object_goes_on_in_its_folder(tmp_path, by_python):
    ppo = PPO(SMALL).learn(lambda ppo, metrics: metrics.update != 2, run_dir=tmp_path / "run", checkpoint_every="1")
    ppo.learn(run_dir=tmp_path / "run")
    assert rows_without_times(tmp_path / "run") == rows_without_times(by_python)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["options"]["checkpoint_every"] == "1"


def test_more_steps_and_weights_of_another_run(tmp_path, by_python):
    ppo = PPO(SMALL, init_from=by_python)
    np.testing.assert_array_equal(ppo.policy.model.params, PPO.load(by_python).policy.model.params)
    ppo.learn(run_dir=tmp_path / "run").learn(more_steps=64, run_dir=tmp_path / "run")
    assert (ppo.update, len(rows_without_times(tmp_path / "run"))) == (5, 5)
    document = json.loads((tmp_path / "run" / "config.json").read_text())
    assert document["config"]["total_timesteps"] == 320
    assert document["options"]["init_from"] == str(by_python)
    assert (document["resumed"], document["overrides"]) == ([256], [])


def test_columns_of_an_earlier_part_are_kept(tmp_path):
    def callback(ppo, metrics):
        ppo.log("mine", metrics.update)
        return metrics.update != 2

    PPO(SMALL).learn(callback, run_dir=tmp_path / "run")
    PPO.load(tmp_path / "run").learn(run_dir=tmp_path / "run")
    assert [row["mine"] for row in rows_without_times(tmp_path / "run")] == ["1.0", "2.0", "", ""]


def test_a_folder_with_something_else_is_refused_and_stays_as_it_is(tmp_path, by_python):
    (tmp_path / "letter.txt").write_text("x")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"^run_dir is .*, but it must be a new or an empty folder"):
        PPO(SMALL).learn(run_dir=tmp_path)
    assert sorted(tmp_path.iterdir()) == before
    content = {path: path.read_bytes() for path in by_python.iterdir()}
    for other in (PPO(SMALL), PPO(SMALL, seed=1).learn()):  # the second one has done as many steps
        with pytest.raises(UserError, match=r"^run_dir is .*, but another run has used this folder: take a new one"):
            other.learn(run_dir=by_python)
    assert {path: path.read_bytes() for path in by_python.iterdir()} == content


def test_two_runs_do_not_share_a_folder(tmp_path):
    other = PPO(SMALL)

    def callback(ppo, metrics):
        with pytest.raises(UserError, match=r"another run"):
            other.learn(run_dir=tmp_path / "run")
        return False

    PPO(SMALL).learn(callback, run_dir=tmp_path / "run")


def test_a_number_that_is_not_finite_leaves_a_crash_file(tmp_path):
    def callback(ppo, metrics):
        ppo.policy.model.params[0] = np.nan

    with pytest.raises(DivergedError) as error:
        PPO(SMALL).learn(callback, run_dir=tmp_path / "run")
    assert "python -m ppo_np.replay" in error.value.__notes__[0]
    assert (tmp_path / "run" / "crash.h5").exists()


def test_the_progress_is_shown(tmp_path, capsys):
    assert PPO(SMALL).learn(lambda ppo, metrics: False, progress=True).update == 1
    assert capsys.readouterr().out == ""
    PPO(SMALL).learn(progress=True, log_every=2)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["step=128", "step=256"]
    PPO(SMALL).learn(run_dir=tmp_path / "run", progress=True, log_every=3)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["step=192", "step=256"]
    PPO(SMALL).learn(run_dir=tmp_path / "quiet")
    assert capsys.readouterr().out == ""


def test_wrong_options_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match=r"^checkpoint_every is 'soon', but it must be a number of updates"):
        PPO(SMALL).learn(run_dir=tmp_path / "run", checkpoint_every="soon")
    with pytest.raises(UserError, match=r"^log_every is 0, but it must be an integer >= 1"):
        PPO(SMALL).learn(progress=True, log_every=0)
    assert not (tmp_path / "run").exists()


def test_the_command_says_what_a_run_without_an_id_needs(tmp_path, capsys):
    PPO(SMALL, Leveled).learn(lambda ppo, metrics: False, run_dir=tmp_path / "run")
    assert run(main, "--resume", tmp_path / "run") == 2
    assert "but that run's env was given from Python: go on there with PPO.load(" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert PPO.load(tmp_path / "run", Leveled).learn(run_dir=tmp_path / "run").update == 4


@pytest.mark.parametrize(
    ("make", "preset", "expected"),
    [
        (lambda: PPO("CartPole-v1"), "cartpole", PPOConfig.preset("cartpole")),
        (lambda: PPO("CartPole-v1", preset="article", shared_sizes=[4]), "article", {"shared_sizes": (4,)}),
        (lambda: PPO("ppo_np_test/Guess-v0", gamma=0.5), "generic-discrete", {"norm_obs": False, "gamma": 0.5}),
        (lambda: PPO(Leveled, num_envs=2), "generic-discrete", {"norm_obs": True, "num_envs": 2, "env_id": ""}),
        (lambda: PPO(Leveled, norm_obs=False), "generic-discrete", {"norm_obs": False}),
        (lambda: PPO("Pendulum-v1", preset="generic-continuous"), "generic-continuous", {"env_id": "Pendulum-v1"}),
        (lambda: PPO(SMALL, gamma=0.5), "article", {"num_steps": 16, "gamma": 0.5}),
        (lambda: PPO(env=Leveled, shared_sizes=(4,)), "article", {"num_steps": 128, "norm_obs": False}),
    ],
)
def test_the_settings_with_which_it_begins(make, preset, expected):
    ppo = make()
    assert ppo.preset == preset
    if isinstance(expected, PPOConfig):
        assert ppo.config == expected
    else:
        assert {name: getattr(ppo.config, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_steps": 5}, "n_steps is no setting of PPO: did you mean num_steps?"),
        ({"n_envs": 5}, "n_envs is no setting of PPO: did you mean num_envs?"),
        ({"n_epochs": 5}, "n_epochs is no setting of PPO: did you mean update_epochs?"),
        ({"clip_range": 5}, "clip_range is no setting of PPO: did you mean clip_coef?"),
        ({"batch_size": 64}, "batch_size is no setting of PPO: use num_minibatches = num_envs * num_steps / (rows"),
        ({"policy_kwargs": {}}, "policy_kwargs is no setting of PPO: use shared_sizes, policy_sizes, value_sizes"),
        ({"verbose": 1}, "verbose is no setting of PPO: learn(progress=True) shows"),
        ({"tensorboard_log": "x"}, "tensorboard_log is no setting of PPO: a run folder has TensorBoard's events"),
        ({"learning_rat": 5}, "learning_rat is no setting of PPO: did you mean learning_rate?"),
        ({"run_dir": "x"}, "run_dir is no setting of PPO: it is an argument of learn."),
        ({"qqqq": 5}, "qqqq is no setting of PPO: known are env_id, "),
        ({"num_steps": "x"}, "num_steps is 'x', but it must be an integer."),
        ({"env_id": "x"}, "env_id is 'x', but it must be left away with the id 'CartPole-v1'."),
    ],
)
def test_a_wrong_name_suggests_the_right_one(settings, sentence):
    with pytest.raises(UserError) as refused:
        PPO("CartPole-v1", **settings)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"total_timesteps": 5}, "it trains config.total_timesteps steps; did you mean more_steps?"),
        ({"progress_bar": True}, "did you mean progress?"),
        ({"log_interval": 1}, "did you mean log_every?"),
        ({"callbacks": []}, "did you mean callback?"),
        ({"n_steps": 5}, "it is a setting, PPO(..., num_steps=...)."),
        ({"seed": 5}, "it is a setting, PPO(..., seed=...)."),
        ({"qqqq": 5}, "known are callback, more_steps, run_dir, progress, checkpoint_every, log_every."),
    ],
)
def test_a_wrong_name_in_learn_suggests_the_right_one(arguments, sentence):
    ppo = PPO(SMALL)
    (name,) = arguments
    with pytest.raises(UserError, match="^" + re.escape(f"{name} is no argument of learn: {sentence}") + "$"):
        ppo.learn(run_dir="never", **arguments)
    assert ppo.update == 0
    assert (ppo.run_dir, ppo.close()) == (None, None)


def test_the_arguments_of_learn_that_are_suggested_are_its_arguments():
    assert list(inspect.signature(PPO.learn).parameters) == ["self", *ARGUMENTS_OF_LEARN, "unknown"]


def test_the_command_and_presets_suggest_names_too(tmp_path, capsys):
    assert run(main, "--env-id", "CartPole-v1", "--n-steps", 5) == 2
    assert capsys.readouterr().err == "error: --n-steps is no flag: did you mean --num-steps?\n"
    assert run(main, "--batch_size=64") == 2
    assert "--batch_size is no flag: use num_minibatches = " in capsys.readouterr().err
    (tmp_path / "my.toml").write_text("n_epochs = 3")
    with pytest.raises(UserError, match=r"the file has the unknown setting 'n_epochs'; did you mean update_epochs\?"):
        PPOConfig.preset(str(tmp_path / "my.toml"))
