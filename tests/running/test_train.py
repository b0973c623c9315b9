"""The train command: its options, what a run leaves, that it repeats bit for bit."""

import csv
import dataclasses
import json

import h5py
import numpy as np
import pytest
import sample_environments  # noqa: F401  registers the test environments  # noqa: F401  registers the test environments
from commands import run
from small_train import SMALL, rows_without_times, train_in_a_process

from ppo_np.config import PPOConfig, preset_names
from ppo_np.evaluation.periodic import FIRST_SEED
from ppo_np.evaluation.playback import evaluate
from ppo_np.learning.ppo import PPO
from ppo_np.running import cli
from ppo_np.running.options import parse
from ppo_np.train import main


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
        (["--env-id", "FrozenLake-v1", "--preset", "article"], "article"),
        (["--env-id", "Nope-v0", "--preset", "generic-discrete"], "generic-discrete"),
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


def test_evaluation_of_an_environment_that_never_ends(tmp_path, capsys):
    arguments = ["--env-id", "ppo_np_test/Screen-v0", "--eval-every", "4", "--eval-episodes", "2"]
    limit = ["--eval-max-episode-steps", "20"]
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", *arguments, "--total-timesteps", 256, *limit) == 0
    assert "evaluations: 2 episodes of at most 20 steps (--eval-max-episode-steps)\n" in capsys.readouterr().out
    assert run(main, "--resume", tmp_path / "run", "--total-timesteps", 256) == 0  # the limit is kept
    with open(tmp_path / "run" / "evaluations.csv", newline="") as file:
        assert [row["mean_length"] for row in csv.DictReader(file)] == ["20.0", "20.0"]


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
