"""The evaluate command: true undiscounted returns of whole episodes, truncation honoured, films that play."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import sample_environments
from commands import run
from films import frames_of
from sample_environments import Counting, Screen

from ppo_np import PPO, PPOConfig
from ppo_np.evaluate import main
from ppo_np.evaluation.episodes import Progress, evaluation_env, step_limit
from ppo_np.evaluation.playback import evaluate
from ppo_np.running import cli
from ppo_np.saving.hdf5 import pack, unpack

KEYS = [
    "mean_return", "std_return", "min_return", "max_return", "mean_length", "episodes", "reward_threshold",
    "success_rate", "returns", "max_episode_steps", "episodes_at_limit", "video",
]  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file for each environment, from PPO objects that have not learnt."""
    folder = tmp_path_factory.mktemp("evaluate")
    for name, env_id in (
        ("cartpole", "CartPole-v1"),
        ("counting", "ppo_np_test/Counting-v0"),
        ("screen", "ppo_np_test/Screen-v0"),
    ):
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


@pytest.mark.parametrize("name", ["landing.mp4", "landing.gif"])
def test_the_film_plays_and_shows_the_whole_first_episode(checkpoint, tmp_path, name):
    report = evaluate(checkpoint / "cartpole" / "checkpoint.h5", 2, 0, video=tmp_path / name)
    assert report["video"] == str(tmp_path / name)
    frames = frames_of(tmp_path / name, 400, 600)
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
        (["{}/cartpole", "--max-episode-steps", "0"], "max_episode_steps is 0, but it must be an integer >= 1"),
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


@pytest.mark.parametrize(
    ("env_id", "given", "limit"),
    [
        ("ppo_np_test/Screen-v0", None, 10_000),
        ("ppo_np_test/Screen-v0", 7, 7),
        ("Pendulum-v1", None, 200),
        ("Pendulum-v1", 7, 7),
        ("Pendulum-v1", 250, 250),
    ],
)
def test_every_episode_has_a_limit(env_id, given, limit):
    env = evaluation_env(PPOConfig(env_id=env_id), given)
    assert step_limit(env) == limit
    env.reset(seed=0)
    for _ in range(limit):
        _, _, _, truncated, _ = env.step(env.action_space.sample())
    assert truncated


def test_an_environment_that_never_ends_is_cut_off(checkpoint, capsys):
    assert run(main, checkpoint / "screen", "--episodes", 3, "--max-episode-steps", 1234) == cli.DONE
    out = capsys.readouterr().out
    assert "length           mean 1234.0\n" in out
    assert "limit            1,234 steps an episode (--max-episode-steps), reached by 3\n" in out


def test_progress_is_told_at_intervals():
    told = []
    progress = Progress(told.append, episodes=3, seconds=0)
    progress.after_step(2, 1500, -2.5)
    assert told == [str(progress)] == ["episode 2 of 3, step 1,500, return -2.50"]
    Progress(told.append, episodes=3, seconds=60).after_step(1, 1, 0.0)
    assert len(told) == 1


def interrupted_in(step):
    """A `step` of Screen during whose call number `step` somebody presses Ctrl-C."""
    calls, original = [], Screen.step

    def wrapped(env, action):
        calls.append(action)
        if len(calls) == step:
            signal.raise_signal(signal.SIGINT)
        return original(env, action)

    return wrapped


def test_an_interrupted_evaluation_reports_the_episodes_that_have_ended(checkpoint, capsys, monkeypatch):
    arguments = [checkpoint / "screen", "--episodes", 5, "--max-episode-steps", 20]
    monkeypatch.setattr(Screen, "step", interrupted_in(step=50))
    assert run(main, *arguments) == cli.INTERRUPTED
    out = capsys.readouterr().out
    assert "episodes         2 (greedy, seeds from 10000), interrupted: 5 were asked for" in out
    monkeypatch.setattr(Screen, "step", interrupted_in(step=50))
    assert run(main, *arguments, "--json") == cli.INTERRUPTED
    assert len(json.loads(capsys.readouterr().out)["returns"]) == 2
    monkeypatch.setattr(Screen, "step", interrupted_in(step=15))
    assert run(main, *arguments) == cli.INTERRUPTED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("interrupted in episode 1 of 5, step 14, return ")
    assert captured.err.endswith("; no episode has ended\n")


@pytest.mark.parametrize("call", ["reset", "step"])
def test_an_environment_that_hangs_is_one_sentence(checkpoint, tmp_path, capsys, monkeypatch, call):
    arrays, attributes = unpack((checkpoint / "counting" / "checkpoint.h5").read_bytes())
    attributes["config"] = json.dumps(json.loads(attributes["config"]) | {"env_timeout": 0.2})
    (tmp_path / "c.h5").write_bytes(pack(arrays, attributes))
    monkeypatch.setattr(Counting, call, lambda self, action=None, *, seed=None, options=None: time.sleep(60))
    assert run(main, tmp_path / "c.h5", "--episodes", 1) == cli.FAILED
    assert "environment 0 did not answer within 0.2 s (env_timeout)" in capsys.readouterr().err


def print_in_all_ways(self):
    print("Python")
    os.write(1, b"system call\n")
    ctypes.CDLL(None).puts(b"C")


def test_what_an_environment_prints_is_not_part_of_the_json(checkpoint, capfd, monkeypatch):
    monkeypatch.setattr(Counting, "_obs", lambda env: print_in_all_ways(env) or np.zeros(2, np.float32))
    monkeypatch.setattr(Counting, "close", print_in_all_ways)
    assert run(main, checkpoint / "counting", "--episodes", 2, "--json") == cli.DONE
    captured = capfd.readouterr()
    assert json.loads(captured.out)["episodes"] == 2
    assert captured.out.count("\n") == 1
    for printed in ("Python", "system call", "C"):
        assert captured.err.splitlines().count(printed) == 10  # two resets, seven steps, close


def test_what_a_process_prints_at_its_beginning_and_end_is_not_part_of_the_json(checkpoint, tmp_path):
    (tmp_path / "noisy.py").write_text(
        "import atexit, ctypes, sample_environments\n"
        "print('import'); atexit.register(print, 'end'); atexit.register(ctypes.CDLL(None).puts, b'C end')\n"
    )
    env_id, tests = "noisy:ppo_np_test/Counting-v0", os.path.dirname(sample_environments.__file__)
    path = os.pathsep.join([str(tmp_path), tests, *sys.path])
    flags = ["--env-id", env_id, "--episodes", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "ppo_np.evaluate", checkpoint / "counting", *flags],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["episodes"] == 2
    assert done.stderr.splitlines() == ["import", "C end", "end"]


@pytest.mark.parametrize("frame", [lambda step: None, lambda step: np.zeros((40, 60)) if step < 3 else 1 / 0])
def test_the_returns_are_reported_whatever_becomes_of_the_film(checkpoint, tmp_path, capsys, monkeypatch, frame):
    monkeypatch.setattr(Screen, "render", lambda env: frame(env.count))
    arguments = [checkpoint / "screen", "--max-episode-steps", 8, "--episodes", 2, "--json"]
    assert run(main, *arguments) == cli.DONE
    report = json.loads(capsys.readouterr().out)
    with pytest.warns(RuntimeWarning, match=r"^a video cannot be written to .*x\.mp4: render ") as warned:
        assert run(main, *arguments, "--video", tmp_path / "x.mp4") == cli.DONE
    assert len(warned) == 1
    assert json.loads(capsys.readouterr().out) == report
    assert report["video"] is None


@pytest.mark.parametrize("modes", [None, ["rgb_array"]])
@pytest.mark.filterwarnings("ignore:.*render_modes")
def test_an_environment_without_declared_render_modes_is_filmed(checkpoint, tmp_path, monkeypatch, modes):
    monkeypatch.setattr(Screen, "metadata", {"render_modes": modes, "render_fps": 0})
    monkeypatch.setattr(Screen, "render", lambda env: np.full((40, 60), 200, np.uint8))
    evaluate(checkpoint / "screen" / "checkpoint.h5", 1, 0, video=tmp_path / "-a%d:b.webm", max_episode_steps=5)
    assert len(frames_of(tmp_path / "-a%d:b.webm", 40, 60)) == 6


def test_a_missing_video_extra_is_named(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(main, checkpoint / "cartpole", "--video", tmp_path / "x.mp4") == cli.BAD_ARGUMENTS
    assert "--video needs imageio_ffmpeg, which is not installed: pip install" in capsys.readouterr().err
