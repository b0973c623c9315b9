"""The clone command: CartPole from a scripted expert, what it leaves, what goes on from it, and what it refuses."""

import csv
import json
import os
import signal

import numpy as np
import pytest
from commands import run
from expert import cartpole, cartpole_file

from ppo_np import PPO, PPOConfig, load_policy
from ppo_np.clone import main
from ppo_np.evaluation.playback import evaluate
from ppo_np.learning.cloning import Student
from ppo_np.running import cli
from ppo_np.saving.checkpoint import read_checkpoint

CARTPOLE = ["--env-id", "CartPole-v1"]


@pytest.fixture(scope="module")
def expert(tmp_path_factory):
    return cartpole_file(tmp_path_factory.mktemp("expert"))


@pytest.fixture(scope="module")
def cloned(expert):
    folder = expert.parent / "run"
    assert run(main, expert, *CARTPOLE, "--epochs", "15", "--run-dir", folder) == cli.DONE
    return folder


def test_2000_steps_of_a_scripted_expert_are_enough_for_cartpole(cloned):
    assert evaluate(cloned / "checkpoint.h5", episodes=5, seed=10_000)["mean_return"] >= 400


def test_ppo_starts_from_there(cloned):
    """Of 8 x 32 steps of a random policy, some 10 episodes end, after 20 steps; here none ends, because none falls."""
    episodes = []
    config = PPOConfig.preset("cartpole")
    ppo = PPO(config, init_from=cloned)
    ppo.learn(lambda ppo, metrics: (episodes.append(metrics.episodes), ppo.stop()))
    assert episodes[0] <= 1
    assert ppo.state.adam_step == 20


def test_the_run_folder(cloned, expert):
    document = json.loads((cloned / "config.json").read_text())
    assert document["cloning"] == {"dataset": str(expert), "epochs": 15, "minibatch_size": 64, "held_out": 0.1}
    with open(cloned / "cloning.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 16))
    held_out = [float(row["held_out_log_likelihood"]) for row in rows]
    assert held_out[0] < max(held_out) < 0
    assert float(rows[-1]["held_out_agreement"]) > 0.85
    saved = read_checkpoint(cloned / "checkpoint.h5")
    assert set(saved.counters.values()) == {0}
    assert not any(saved.tensors[name].any() for name in saved.tensors if name.startswith("adam/"))
    policy, pushes = load_policy(cloned), cartpole(200, seed=5)
    assert np.mean(policy.predict(pushes["observations"]) == pushes["actions"]) > 0.7  # by chance 0.5


def test_the_command_tells_what_it_does(expert, tmp_path, capsys):
    assert run(main, expert, *CARTPOLE, "--epochs", "2", "--held-out", "0.4", "--run-dir", tmp_path / "run") == cli.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith(" held out (whole episodes)")
    assert lines[2].startswith("epoch=1 log_likelihood=-0.")
    assert " accuracy=0." in lines[3]
    assert lines[4] == "Cloning finished"
    assert lines[-1].endswith(f"python -m ppo_np.train --env-id CartPole-v1 --init-from {tmp_path / 'run'}")


def test_a_signal_ends_it_after_the_epoch_and_saves(expert, tmp_path, monkeypatch, capsys):
    epochs = Student.epochs

    def signalled(*arguments):
        for loss in epochs(*arguments):
            os.kill(os.getpid(), signal.SIGINT)
            yield loss

    monkeypatch.setattr(Student, "epochs", signalled)
    assert run(main, expert, *CARTPOLE, "--run-dir", tmp_path / "run") == cli.INTERRUPTED
    assert "Cloning interrupted" in capsys.readouterr().out
    read_checkpoint(tmp_path / "run" / "checkpoint.h5")


def without(name):
    return {key: array for key, array in cartpole(20).items() if key != name}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (without("actions"), "it has no actions: it must have observations and actions, not ['observations', "),
        (
            cartpole(20) | {"actions": np.full(20, 2)},
            "its actions, of shape (20,), must be in Discrete(2).",
        ),
        (cartpole(20) | {"actions": np.zeros((20, 2))}, "its actions, of shape (20, 2), must be in Discrete(2)."),
        (cartpole(20) | {"observations": np.zeros((20, 3))}, "its observations do not fit Box("),
        (cartpole(20) | {"observations": np.zeros((19, 4))}, "its observations do not fit Box("),
        (cartpole(20) | {"observations": np.full((20, 4), np.nan)}, "its observations must be finite and in Box("),
        (cartpole(20) | {"episode_ends": np.zeros(3)}, "its episode_ends have the shape (3,), but it must be (20,)."),
        ({"observations": np.zeros((0, 4)), "actions": np.zeros(0)}, "it has no rows."),
        ({"observations": np.array([None]), "actions": np.zeros(1)}, "it is no .npz file of plain arrays: "),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, capsys, arrays, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    assert run(main, path, *CARTPOLE, "--run-dir", tmp_path / "run") == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert f"error: dataset is {str(path)!r}, but {message}" in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    if arrays["observations"].shape[1:] == (3,):
        assert captured.err.endswith(" in 20 rows: shape (20, 3) instead of (20, 4).\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["none.npz"], "dataset is 'none.npz', but it cannot be read: No such file or directory."),
        (["x.npz", "--epochs", "0"], "epochs is 0, but it must be an integer from 1 to 1000000."),
        (["x.npz", "--held-out", "1"], "held_out is 1.0, but it must be in [0, 0.9]."),
        (["x.npz", "--minibatch-size", "0"], "minibatch_size is 0, but it must be an integer from 1 to 2**24."),
    ],
)
def test_bad_arguments(capsys, flags, message):
    assert run(main, *flags, *CARTPOLE) == cli.BAD_ARGUMENTS
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_file_that_is_no_npz(tmp_path, capsys):
    (tmp_path / "text.npz").write_text("hello")
    assert run(main, tmp_path / "text.npz", *CARTPOLE) == cli.BAD_ARGUMENTS
    assert "but it is no .npz file of plain arrays: " in capsys.readouterr().err
