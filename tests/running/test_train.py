"""The train command: what a run leaves, what it refuses, how it is interrupted, that it repeats bit for bit."""

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import sample_environments  # noqa: F401  registers the test environments
from commands import run

from ppo_np import PPO
from ppo_np.config import PPOConfig, preset_names
from ppo_np.evaluation.periodic import FIRST_SEED
from ppo_np.evaluation.playback import evaluate
from ppo_np.network.model import ActorCritic
from ppo_np.running import cli
from ppo_np.running.options import parse
from ppo_np.running.signals import STOPPING
from ppo_np.train import main

SMALL = ["--preset", "article", "--env-id", "CartPole-v1", "--num-steps", "16", "--shared-sizes", "8"]
TIMES = {"wall_time", "SPS", "time_env", "time_inference", "time_update"}


def train_in_a_process(folder, *arguments, **options):
    command = [sys.executable, "-m", "ppo_np.train", *SMALL, "--run-dir", str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def rows_without_times(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


def test_without_arguments_it_is_the_articles_run():
    assert parse([]).config == PPOConfig()
    assert parse([]).preset == "article"


def test_flags_change_the_preset():
    options = parse(
        ["--preset", "cleanrl", "--gamma", "0.5", "--policy-sizes", "--no-anneal-lr", "--value-sizes", "3", "4"]
    )
    expected = PPOConfig.preset("cleanrl").to_dict() | {
        "gamma": 0.5, "policy_sizes": [], "anneal_lr": False, "value_sizes": [3, 4],
    }  # fmt: skip
    assert options.config.to_dict() == expected


def test_every_setting_is_a_flag_with_help(capsys):
    assert run(main, "--help") == 0
    text = capsys.readouterr().out
    for name in (
        *PPOConfig().to_dict(),
        "preset",
        "run_dir",
        "capture_video",
        "video_every",
        "checkpoint_every",
        "log_every",
    ):
        assert f"--{name.replace('_', '-')} " in text or f"--{name.replace('_', '-')}," in text, name


def test_what_a_run_leaves(tmp_path, capsys):
    folder = tmp_path / "run"
    assert run(main, *SMALL, "--run-dir", folder, "--total-timesteps", 200, "--log-every", 2) == 0
    out = capsys.readouterr().out
    assert "shared/0" in out
    assert "total" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("step=")] == ["step=128", "step=256"]
    assert "Training finished" in out
    for name in ("checkpoint.h5", "metrics.csv", "config.json"):
        assert (folder / name).stat().st_size > 0
        assert name in out.replace("\n", "")
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert "256 / 200" in out
    document = json.loads((folder / "config.json").read_text())
    assert document["config"]["env_id"] == "CartPole-v1"
    assert document["preset"] == "article"
    assert PPO.load(folder / "checkpoint.h5").global_step == 256
    assert [row["step"] for row in rows_without_times(folder)] == ["64", "128", "192", "256"]


def test_the_checkpoint_is_written_at_the_interval(tmp_path, monkeypatch):
    saved = []
    original = PPO.save
    monkeypatch.setattr(PPO, "save", lambda ppo, path, **more: (saved.append(ppo.update), original(ppo, path, **more)))
    run(main, *SMALL, "--run-dir", tmp_path, "--total-timesteps", 5 * 64, "--checkpoint-every", 2)
    assert saved == [0, 2, 4, 5]


def test_a_video_run_plays_the_same_game(tmp_path):
    for name, flags in (("plain", []), ("filmed", ["--capture-video", "--video-every", "2"])):
        assert run(main, *SMALL, "--run-dir", tmp_path / name, "--total-timesteps", 512, *flags) == 0
    assert rows_without_times(tmp_path / "plain") == rows_without_times(tmp_path / "filmed")
    videos = sorted(path.name for path in (tmp_path / "filmed" / "videos").glob("*.mp4"))
    assert videos[:2] == ["rl-video-episode-0.mp4", "rl-video-episode-2.mp4"]


@pytest.mark.parametrize(
    ("arguments", "preset"),
    [
        ([], "article"),
        (["--env-id", "CartPole-v1"], "cartpole"),
        (["--env-id=CartPole-v1", "--gamma", "0.5"], "cartpole"),
        (["--env_id", "CartPole-v1"], "cartpole"),
        (["--env-id", "LunarLander-v3"], "lunarlander"),
        (["--env-id", "CartPole-v1", "--preset", "article"], "article"),
        (["--env-id", "Taxi-v4"], "article"),
    ],
)
def test_the_preset_for_an_environment_is_chosen_by_itself(arguments, preset):
    options = parse(arguments)
    changes = {"env_id": options.config.env_id, "gamma": options.config.gamma}
    assert options.preset == preset
    assert options.config == dataclasses.replace(PPOConfig.preset(preset), **changes)


def test_the_presets_are_listed(capsys):
    assert run(main, "--list-presets") == cli.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == preset_names()
    assert lines[0].split()[1:4] == ["Acrobot-v1", "500,000", "steps"]


def test_evaluation_on_the_way_keeps_the_best_policy_and_does_not_touch_training(tmp_path):
    for name, flags in (("plain", []), ("evaluated", ["--eval-every", "3", "--eval-episodes", "4"])):
        assert run(main, *SMALL, "--run-dir", tmp_path / name, "--total-timesteps", 512, *flags) == 0
    folder = tmp_path / "evaluated"
    assert rows_without_times(tmp_path / "plain") == rows_without_times(folder)
    with open(folder / "evaluations.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["update"], row["step"], row["episodes"]) for row in rows] == [
        ("3", "192", "4"), ("6", "384", "4"), ("8", "512", "4")
    ]  # fmt: skip
    returns = [float(row["mean_return"]) for row in rows]
    assert [row["best"] for row in rows] == [str(int(r > max(returns[:i], default=0))) for i, r in enumerate(returns)]
    best = rows[int(np.argmax(returns))]
    assert PPO.load(folder / "best.h5").global_step == int(best["step"])
    report = evaluate(folder / "best.h5", 4, FIRST_SEED)
    assert report["mean_return"] == max(returns)
    assert report["std_return"] == float(best["std_return"])
    assert not (tmp_path / "plain" / "best.h5").exists()


def test_the_default_folder_names_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(main, *SMALL, "--total-timesteps", 64, "--seed", 5) == 0
    names = [path.name for path in (tmp_path / "runs").iterdir()]
    assert len(names) == 2
    assert all(name.startswith("CartPole-v1__article__5__") for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env-id", "Nope-v9"], "env_id is 'Nope-v9'"),
        (["--env-id", "ppo_np_test/Endless-v0"], "observation space is Sequence"),
        (["--env-id", "ppo_np_test/Endless-v0", "--capture-video"], "observation space is Sequence"),
        (
            ["--num-minibatches", "3"],
            "num_minibatches is 3, but it must be a divisor of num_envs * num_steps = 4 * 16 = 64",
        ),
        (["--num-envs", "0"], "num_envs is 0"),
        (["--total-timesteps", "-1"], "total_timesteps is -1"),
        (["--update-epochs", "0"], "update_epochs is 0"),
        (["--gamma", "1.01"], "gamma is 1.01, but it must be in [0, 1]"),
        (["--gae-lambda", "-0.1"], "gae_lambda is -0.1"),
        (["--learning-rate", "0"], "learning_rate is 0.0"),
        (["--preset", "nope"], "preset is 'nope', but it must be one of acrobot, article"),
        (["--video-every", "0"], "video_every is 0"),
        (
            ["--checkpoint-every", "0"],
            "checkpoint_every is '0', but it must be a number of updates >= 1, like 100, or of",
        ),
        (["--checkpoint-every", "0s"], "checkpoint_every is '0s'"),
        (["--checkpoint-every", "5m"], "checkpoint_every is '5m'"),
        (["--log-every", "-1"], "log_every is -1"),
        (["--eval-every", "-1"], "eval_every is -1"),
        (["--eval-episodes", "0"], "eval_episodes is 0"),
        (["--target-kl", "0"], "target_kl is 0.0, but it must be a number > 0"),
        (["--vectorization", "vector", "--env-id", "Pendulum-v1"], "env_id is 'Pendulum-v1', but no such environment"),
        (["--vectorization", "vector", "--capture-video"], "a video needs 'sync' or 'async'"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(tmp_path, capsys, arguments, message):
    folder = tmp_path / "run"
    assert run(main, *SMALL, "--run-dir", folder, *arguments) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert not folder.exists()


@pytest.mark.parametrize(
    "arguments", [["--gama", "0.9"], ["--gamma", "much"], ["--activation", "gelu"], ["--num-envs", "4.5"]]
)
def test_a_malformed_flag_exits_with_2(tmp_path, capsys, arguments):
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", *arguments) == cli.BAD_ARGUMENTS
    assert arguments[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep me")
    assert run(main, *SMALL, "--run-dir", tmp_path) == cli.BAD_ARGUMENTS
    assert "must be a new or an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("flags", [[], ["--capture-video"]], ids=["plain", "filmed"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, capsys, flags):
    (tmp_path / "file").write_text("")
    assert run(main, *SMALL, "--run-dir", tmp_path / "file" / "run", *flags) == cli.BAD_ARGUMENTS
    assert "cannot be made" in capsys.readouterr().err


def test_a_missing_video_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", "--capture-video") == cli.BAD_ARGUMENTS
    assert "--capture-video needs moviepy, which is not installed: pip install" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_bug_keeps_its_traceback_and_what_was_learnt(monkeypatch, tmp_path):
    original = PPO.learn
    monkeypatch.setattr(PPO, "learn", lambda ppo, callback: original(ppo, callback) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: main([*SMALL, "--run-dir", str(tmp_path / "run"), "--total-timesteps", "128"]))
    assert PPO.load(tmp_path / "run" / "checkpoint.h5").global_step == 128


def test_a_gradient_that_is_not_finite_is_one_sentence_and_changes_nothing(monkeypatch, tmp_path, capsys):
    original = ActorCritic.loss_and_gradient

    def spoilt(model, *arguments):
        terms = original(model, *arguments)
        model.grads[0] = np.nan
        return terms

    monkeypatch.setattr(ActorCritic, "loss_and_gradient", spoilt)
    assert run(main, *SMALL, "--run-dir", tmp_path / "run") == cli.FAILED
    assert capsys.readouterr().err == (
        "error: In update 1, epoch 1, minibatch 1, gradient of layer shared/0/weight at [0, 0] is nan where everything "
        "before it was finite; the parameters were not changed by it. See where it comes from: "
        f"python -m ppo_np.replay {tmp_path / 'run' / 'crash.h5'}\n"
    )
    assert np.isfinite(PPO.load(tmp_path / "run" / "checkpoint.h5").policy.model.params).all()


def test_a_lack_of_memory_is_one_sentence(tmp_path, capsys):
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", "--shared-sizes", 10**7, 10**7) == cli.BAD_ARGUMENTS
    assert "do not fit into memory" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_signal_before_training_leaves_nothing(tmp_path, monkeypatch, capsys):
    original = PPO.__init__

    def interrupted(ppo, *arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        original(ppo, *arguments, **options)

    monkeypatch.setattr(PPO, "__init__", interrupted)
    assert run(main, *SMALL, "--run-dir", tmp_path / "run") == 130
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "run").exists()


def test_two_processes_give_the_same_run_bit_for_bit(tmp_path):
    seeds = {"first": "7", "again": "7", "other": "8"}
    for name, seed in seeds.items():
        process = train_in_a_process(tmp_path / name, "--total-timesteps", "512", "--seed", seed)
        process.communicate(timeout=120)
        assert process.returncode == 0
    first, again, other = (h5py.File(tmp_path / name / "checkpoint.h5") for name in seeds)
    for tensor in ("parameters/shared/0/weight", "parameters/policy/head/bias", "adam/m/value/head/weight"):
        assert np.array_equal(first[tensor], again[tensor])
        assert not np.array_equal(first[tensor], other[tensor])
    assert first.attrs["rng"] == again.attrs["rng"]
    assert rows_without_times(tmp_path / "first") == rows_without_times(tmp_path / "again")
    assert rows_without_times(tmp_path / "first") != rows_without_times(tmp_path / "other")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_summarises(tmp_path, number, code):
    process = train_in_a_process(tmp_path / "run", "--total-timesteps", "100000000", start_new_session=True)
    metrics, deadline = tmp_path / "run" / "metrics.csv", time.monotonic() + 60
    while not (metrics.exists() and metrics.read_text().count("\n") > 3):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err == STOPPING.decode()
    assert "Training interrupted" in out
    assert PPO.load(tmp_path / "run" / "checkpoint.h5").update >= 3
    assert metrics.read_text().endswith("\n")


def test_a_signal_before_the_first_update_saves_too(tmp_path, monkeypatch):
    original = PPO.learn

    def learn(ppo, callback):
        os.kill(os.getpid(), signal.SIGINT)
        ppo.stream.step = lambda _: pytest.fail("no step after the signal")
        return original(ppo, callback)

    monkeypatch.setattr(PPO, "learn", learn)
    before = signal.getsignal(signal.SIGINT)
    assert run(main, *SMALL, "--run-dir", tmp_path / "run") == 130
    assert PPO.load(tmp_path / "run" / "checkpoint.h5").global_step == 0
    assert signal.getsignal(signal.SIGINT) == before
