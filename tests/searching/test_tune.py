"""The search: trial 0 is the preset, bad trials are pruned, and an interrupted search loses and repeats nothing."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from commands import run

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.running import cli
from ppo_np.searching import study as studies
from ppo_np.searching.jobs import Job, Pool
from ppo_np.searching.preset_file import write_preset
from ppo_np.searching.space import (
    CHOICES,
    CONTINUOUS,
    LEARNING_RATE,
    distributions,
    fields_of,
    parameters,
    words_of,
)
from ppo_np.searching.study import FREE_RUNGS, FREE_TRIALS, RUNGS
from ppo_np.searching.trial import RunningTrial
from ppo_np.searching.tune import seconds
from ppo_np.tune import main

pytest_plugins = "fake_runs"  # the fixtures fake and calls

GENERIC = PPOConfig.preset("generic-discrete")
# All but the learning rate is given, so that fewer values are drawn.
FLAGS = ["--env-id", "CartPole-v1", "--num-envs", "4", "--num-steps", "64", "--num-minibatches", "4", "--gamma", "0.9"]
FLAGS += ["--update-epochs", "2", "--no-anneal-lr", "--gae-lambda", "1", "--policy-sizes", "8", "--clip-coef", "0.1"]
FLAGS += ["--timesteps", "1000", "--jobs", "1"]


@pytest.fixture
def tune(fake, tmp_path):
    """The exit code of a search in tmp_path/tune."""
    return lambda *arguments: run(main, *FLAGS, "--run-dir", tmp_path / "tune", *arguments)


@pytest.fixture
def opened(monkeypatch):
    """The studies that commands have opened: a command leaves them open, and to open one again takes half a second."""
    found, original = [], studies.open_study
    monkeypatch.setattr(studies, "open_study", lambda *arguments: found.append(original(*arguments)) or found[-1])
    return found


def test_trial_0_is_the_preset_and_the_best_one_becomes_a_preset(tune, fake, opened, tmp_path, capsys):
    fake({"trial-001/seed=1": "fails"})
    assert tune("--trials", 4, "--out", tmp_path / "my.toml") == cli.DONE
    trials = opened[0].trials
    assert trials[0].params == {"learning_rate": 3e-4, "ent_coef": 0.01, "activation": "tanh"}
    # The fake run's return is 100 * learning rate + seed; the seeds are 1 and 2.
    values = [100 * trial.params["learning_rate"] + 1.5 for trial in trials]
    assert [trial.value for trial in trials] == [pytest.approx(values[0]), None, *map(pytest.approx, values[2:])]
    config = PPOConfig.preset(str(tmp_path / "my.toml"))
    assert config == dataclasses.replace(
        GENERIC, **opened[0].best_params, env_id="CartPole-v1", total_timesteps=1000, num_envs=4, num_steps=64,
        num_minibatches=4, gamma=0.9, update_epochs=2, anneal_lr=False, gae_lambda=1, policy_sizes=(8,), clip_coef=0.1,
    )  # fmt: skip
    out = capsys.readouterr().out
    assert f"python -m ppo_np.train --preset {tmp_path / 'my.toml'}" in out
    assert f"python -m ppo_np.sweep --preset generic-discrete {tmp_path / 'my.toml'} --norm-obs --env-id" in out
    assert "3 complete, 0 pruned, 1 failed" in out
    (line,) = [line for line in out.splitlines() if line.startswith("trial-001")]
    assert line.startswith("trial-001: failed: trial-001/seed=1: exit code 1. the environment is gone. See ")
    assert trials[1].user_attrs["error"] == line.removeprefix("trial-001: failed: ")


def test_a_search_that_is_interrupted_goes_on_with_the_same_trials(tune, fake, opened, tmp_path, calls, capsys):
    folder = tmp_path / "tune"
    fake({"trial-001/seed=2": "interrupts"})
    assert tune("--trials", 9) == cli.INTERRUPTED
    assert "1 complete, 0 pruned, 0 failed" in capsys.readouterr().out
    assert [trial.state.name for trial in opened[-1].trials] == ["COMPLETE", "FAIL", "WAITING"]
    assert run(main, "--resume", folder, "--time", "0.01s") == cli.DONE  # that was over in the first call
    assert [trial.state.name for trial in opened[-1].trials] == ["COMPLETE", "FAIL", "WAITING"]
    assert run(main, "--resume", folder, "--trials", 3) == cli.DONE
    assert "3 complete, 0 pruned, 0 failed" in capsys.readouterr().out
    trials = opened[-1].trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert trials[2].params == trials[1].params
    assert trials[2].user_attrs["folder"] == "trial-001"
    assert trials[3].params != trials[1].params
    assert calls(folder / "trials") == {
        "trial-000/seed=1": ["begins"], "trial-000/seed=2": ["begins"],
        "trial-001/seed=1": ["begins"], "trial-001/seed=2": ["begins", "goes on"],
        "trial-003/seed=1": ["begins"], "trial-003/seed=2": ["begins"],
    }  # fmt: skip


def test_a_search_in_which_everything_fails_ends(tune, fake, capsys):
    fake({"seed=1": "fails"})
    assert tune("--trials", 9) == cli.FAILED
    sentence = "error: the first 3 trials have failed; the last one: trial-002/seed=1: exit code 1."
    assert sentence in capsys.readouterr().err


@pytest.fixture
def study(monkeypatch):
    """A study in memory with five complete trials; the running means of trial i are 10 i + the rung."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(FREE_TRIALS, FREE_RUNGS + 1))
    for i in range(5):
        trial = study.ask()
        for rung in range(1, RUNGS):
            trial.report(10 * i + rung, rung)
        study.tell(trial, i)
    return study


def running_trial(study, folder, returns):
    """A trial with a run whose metrics.csv has an episode of each of these returns, one in each tenth of 1000 steps."""
    rows = [f"{i},{100 * i},1,{one}" for i, one in enumerate(returns, 1)]
    folder.mkdir()
    (folder / "metrics.csv").write_text("\n".join(["update,step,episodes,episodic_return", *rows, ""]))
    trial = RunningTrial(study.ask(), [Job("run", folder, (), 1000, 0)])
    trial.todo.clear()
    return trial


@pytest.mark.parametrize(
    ("returns", "rung"),
    [
        ([29] * 9, 9),  # not below the median trial, which has 20 + rung
        ([0, 0, 0, 99], 3),  # rungs 1 and 2 prune nothing
        ([99, 99, 0, 0], 4),  # the best mean so far counts, and it is 99
        ([""] * 9, 9),  # no episode has ended
    ],
)
def test_a_trial_below_the_median_is_pruned(study, tmp_path, returns, rung):
    trial = running_trial(study, tmp_path / "run", returns)
    with Pool(1) as pool:
        trial.compare(pool)
    assert (trial.rung, trial.pruned) == (rung, returns == [0, 0, 0, 99])
    reported = {i + 1: sum(returns[: i + 1]) / (i + 1) for i in range(rung)} if "" not in returns else {}
    assert study.trials[-1].intermediate_values == pytest.approx(reported)
    if trial.pruned:
        assert trial.finish(study) == "pruned after 30% of the steps"
        assert study.trials[-1].state.name == "PRUNED"


def test_what_was_running_is_enqueued_once_with_its_values(study):
    import optuna

    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    running = study.ask(space)
    study.enqueue_trial({"x": 0.25}, user_attrs={"values": {"x": 0.25}, "folder": "trial-002"})
    waited = study.ask()  # killed before it has taken its value
    failed = study.ask(space)
    failed.set_user_attr("error", "killed before it was told")
    study.enqueue_trial(running.params, user_attrs={"folder": "trial-005"})  # killed before the old one was told
    for _ in range(2):
        studies.requeue(study)
        states = [trial.state.name for trial in study.trials[5:]]
        assert states == ["FAIL", "FAIL", "FAIL", "WAITING", "WAITING"]
    again = [study.ask(space) for _ in range(2)]
    assert [trial.params for trial in again] == [running.params, {"x": 0.25}]
    assert [studies.folder_of(trial) for trial in again] == ["trial-005", "trial-002"]
    assert studies.counts(study) == {"complete": 5, "pruned": 0, "failed": 1}
    assert waited.number == 6


def test_every_point_of_the_space_is_a_setting_and_the_preset_is_one():
    for config, continuous in ((GENERIC, False), (PPOConfig.preset("generic-continuous"), True)):
        preset = parameters(config, continuous, ())
        assert ("log_std_init" in preset) == continuous
        space = distributions(preset)
        assert preset.keys() == space.keys()
        assert all(space[name]._contains(space[name].to_internal_repr(value)) for name, value in preset.items())
        assert dataclasses.replace(config, **fields_of(preset, config)) == config
        for name, distribution in space.items():
            for value in getattr(distribution, "choices", ()):
                dataclasses.replace(config, **fields_of(preset | {name: value}, config))


def test_the_docs_have_the_whole_space():
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
    low, high = LEARNING_RATE
    assert f"| `learning_rate` | {low} to {high}, on a logarithmic scale |" in page
    for name, choices in (CHOICES | CONTINUOUS).items():
        assert re.search(rf"^\| `{name}` \| {', '.join(map(str, choices))}( \||: )", page, re.MULTILINE), name


def test_the_value_of_another_preset_is_added_to_the_space():
    config = dataclasses.replace(GENERIC, gamma=0.42, learning_rate=0.1, policy_sizes=(7,), num_minibatches=1)
    preset = parameters(config, False, ())
    assert "network" not in preset  # policy and value have different sizes
    space = distributions(preset)
    assert space["gamma"].choices[-1] == 0.42
    assert space["learning_rate"].high == 0.1
    assert space["minibatch_size"].choices[-1] == 2048


def test_parameters_as_fields_and_as_flags():
    values = {"network": "64x32", "minibatch_size": 512, "num_envs": 6, "anneal_lr": False, "gamma": 0.9}
    fields = fields_of(values, GENERIC)  # 6 * 256 transitions
    assert fields == {
        "num_envs": 6, "anneal_lr": False, "gamma": 0.9, "policy_sizes": (64, 32), "value_sizes": (64, 32),
        "num_minibatches": 3,
    }  # fmt: skip
    assert fields_of({"minibatch_size": 100}, GENERIC) == {"num_minibatches": 16}  # 2048 / 20 is no whole number
    assert words_of(fields) == (
        "--num-envs", "6", "--no-anneal-lr", "--gamma", "0.9", "--policy-sizes", "64", "32",
        "--value-sizes", "64", "32", "--num-minibatches", "3",
    )  # fmt: skip


def test_a_setting_that_is_given_is_not_searched():
    assert "gamma" not in parameters(GENERIC, False, {"gamma"})
    assert "minibatch_size" not in parameters(GENERIC, False, {"num_minibatches"})
    assert "anneal_lr" not in parameters(GENERIC, False, {"learning_rate_schedule"})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--gamma", "0.9", "0.8"],
            "gamma is ['--gamma 0.9', '--gamma 0.9', '--gamma 0.8'], but it must be one value;",
        ),
        (["--total-timesteps", "9"], "total_timesteps is 'given', but it must be left away: here it is --timesteps."),
        (["--trials", "0"], "trials is 0, but it must be an integer >= 1."),
        (["--time", "5"], "time is '5', but it must be a time like 90s, 10m or 2h."),
        (["--out", "best.json"], "out is 'best.json', but it must be a file that ends with .toml."),
    ],
)
def test_bad_arguments_leave_nothing(tune, tmp_path, capsys, arguments, sentence):
    assert tune(*arguments) == cli.BAD_ARGUMENTS
    assert capsys.readouterr().err.startswith(f"error: {sentence}")
    assert list(tmp_path.iterdir()) == []


def test_another_search_in_the_same_folder_is_refused(tune, tmp_path, capsys):
    (tmp_path / "tune").mkdir()
    search = {"seeds_per_trial": 3}
    (tmp_path / "tune" / "tune.json").write_text(json.dumps({"arguments": [], "cwd": "/", "search": search}))
    assert tune() == cli.BAD_ARGUMENTS
    assert "but the search there has seeds_per_trial 3, not 2." in capsys.readouterr().err


def test_without_optuna_one_sentence_says_how_to_get_it(tune, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert tune() == cli.BAD_ARGUMENTS
    assert "needs optuna, which is not installed: pip install 'ppo_np[tune]'." in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"env_kwargs": {"size": 3, "name": 'a "b"\n\x7f\u20ac'}, "wrappers": ("m:W(k='x')",), "policy_sizes": (1, 2)},
        {"max_grad_norm": float("inf"), "learning_rate": 1e-5, "target_kl": 0.1, "learning_rate_schedule": "cosine"},
    ],
)
def test_a_preset_file_is_read_as_it_was_written(tmp_path, changes):
    config = dataclasses.replace(GENERIC, **changes)
    write_preset(tmp_path / "my.toml", config, "about it")
    assert PPOConfig.preset(str(tmp_path / "my.toml")) == config
    assert (tmp_path / "my.toml").read_text().startswith("# about it\n")


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("10m", 600), ("1.5h", 5400), (None, float("inf"))])
def test_times(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["10", "0s", "m", "-1s", "10 m", "1e3s"])
def test_what_is_no_time(text):
    with pytest.raises(UserError, match=rf"^time is {text!r}, but it must be a time like 90s, 10m or 2h\.$"):
        seconds(text)
