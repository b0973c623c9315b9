"""The evaluate command: true undiscounted returns of whole episodes, truncation honoured, films that play."""

import json
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import sample_environments  # noqa: F401  registers the test environments
from commands import run

from ppo_np import PPO, PPOConfig
from ppo_np.evaluate import main
from ppo_np.evaluation.playback import evaluate
from ppo_np.running import cli

KEYS = [
    "mean_return", "std_return", "min_return", "max_return", "mean_length", "episodes", "reward_threshold",
    "success_rate", "returns",
]  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file for each environment, from PPO objects that have not learnt."""
    folder = tmp_path_factory.mktemp("evaluate")
    for name, env_id in (("cartpole", "CartPole-v1"), ("counting", "ppo_np_test/Counting-v0")):
        (folder / name).mkdir()
        PPO(PPOConfig(env_id=env_id, shared_sizes=(8,), num_envs=1)).save(folder / name / "checkpoint.h5")
    return folder


def test_an_episode_ends_by_termination_or_truncation(checkpoint):
    report = evaluate(checkpoint / "counting" / "checkpoint.h5", episodes=4, seed=0)
    # Lengths 3 (terminated), 4 (truncated), 3, 4; the reward is 1 or 2 a step.
    assert report["mean_length"] == 3.5
    assert all(length <= value <= 2 * length for value, length in zip(report["returns"], [3, 4, 3, 4], strict=True))
    assert report["reward_threshold"] is None
    assert report["success_rate"] is None


def test_the_numbers_are_those_of_the_returns(checkpoint):
    report = evaluate(checkpoint / "cartpole" / "checkpoint.h5", episodes=7, seed=3)
    returns = report["returns"]
    assert list(report) == KEYS
    assert len(returns) == report["episodes"] == 7
    assert report["mean_return"] == np.mean(returns) == report["mean_length"]
    assert report["std_return"] == np.std(returns)
    assert (report["min_return"], report["max_return"]) == (min(returns), max(returns))
    assert report["reward_threshold"] == 475
    assert report["success_rate"] == np.mean(np.array(returns) >= 475)


@pytest.mark.parametrize("deterministic", [True, False])
def test_episode_i_depends_on_seed_plus_i_alone(checkpoint, deterministic):
    path = checkpoint / "cartpole" / "checkpoint.h5"
    first = evaluate(path, 5, 100, deterministic=deterministic)["returns"]
    assert evaluate(path, 5, 100, deterministic=deterministic)["returns"] == first
    assert evaluate(path, 2, 103, deterministic=deterministic)["returns"] == first[3:]
    assert len(set(first)) > 1


def test_drawn_actions_play_another_game(checkpoint):
    path = checkpoint / "cartpole" / "checkpoint.h5"
    assert evaluate(path, 5, 100)["returns"] != evaluate(path, 5, 100, deterministic=False)["returns"]


@pytest.mark.parametrize("target", ["cartpole", "cartpole/checkpoint.h5"])
def test_a_run_folder_or_a_file(checkpoint, capsys, target):
    assert run(main, checkpoint / target, "--episodes", 3, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == KEYS
    assert report == evaluate(checkpoint / "cartpole" / "checkpoint.h5", 3, 10_000)


def test_the_text_report(checkpoint, capsys):
    assert run(main, checkpoint / "cartpole", "--episodes", 2, "--seed", 5, "--stochastic") == 0
    out = capsys.readouterr().out
    assert "2 (stochastic, seeds from 5)" in out
    assert "0% of episodes reach 475" in out


def decode(path):
    """The frames of a film of CartPole, (frames, 400, 600, 3), as ffmpeg plays it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-fps_mode", "passthrough", "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 400, 600, 3)


@pytest.mark.parametrize("name", ["landing.mp4", "landing.gif"])
def test_the_film_plays_and_shows_the_whole_first_episode(checkpoint, tmp_path, name):
    report = evaluate(checkpoint / "cartpole" / "checkpoint.h5", 2, 0, video=tmp_path / name)
    frames = decode(tmp_path / name)
    whole = report["returns"][0] + 1
    # A GIF keeps a frame that equals the one before as a longer delay.
    assert len(frames) == whole if name.endswith("mp4") else 0.5 * whole < len(frames) <= whole
    assert not np.array_equal(frames[0], frames[-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "RUN_OR_FILE is 'nope'"),
        (["{}"], "must be a run folder with a checkpoint.h5"),
        (["{}/cartpole", "--episodes", "0"], "episodes is 0"),
        (["{}/cartpole", "--seed", "-1"], "seed is -1"),
        (["{}/cartpole", "--video", "{}/no/such.mp4"], "must be in a folder that exists"),
        (["{}/cartpole", "--video", "{}/film.txt"], "must be a file that ends in .mp4 or .gif"),
        (["{}/counting", "--video", "{}/film.mp4"], "render mode rgb_array"),
        (["{}/cartpole", "--env-id", "Nope-v0"], "env_id is 'Nope-v0'"),
        (
            ["{}/cartpole", "--env-id", "LunarLander-v3"],
            "does not fit the environment: shared/0/weight has shape (4, 8)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*render")
def test_a_mistake_is_one_sentence(checkpoint, capsys, arguments, message):
    assert run(main, *(argument.format(checkpoint) for argument in arguments)) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert not list(checkpoint.glob("film.*"))


def test_a_missing_video_extra_is_named(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(main, checkpoint / "cartpole", "--video", tmp_path / "x.mp4") == cli.BAD_ARGUMENTS
    assert "--video needs moviepy, which is not installed: pip install" in capsys.readouterr().err
