"""Runs that are stopped and gone on with, and whole ones to compare them with."""

import os
import signal

from commands import run

from ppo_np.environments.stream import EnvStream
from ppo_np.running import cli
from ppo_np.running.signals import STOPPING
from ppo_np.train import main

BASE = ["--preset", "article", "--num-envs", "2", "--num-steps", "16", "--num-minibatches", "2", "--update-epochs", "2"]
BASE += ["--learning-rate", "0.003", "--shared-sizes", "8", "--checkpoint-every", "2"]
CARTPOLE = [*BASE, "--env-id", "CartPole-v1"]
STEPS = 8 * 32
EVALUATED = ["--eval-every", "3", "--eval-episodes", "2"]


def train(folder, *arguments, code=cli.DONE):
    assert run(main, "--run-dir", folder, "--total-timesteps", STEPS, *arguments) == code
    return folder


def go_on(folder, *arguments, code=cli.DONE):
    assert run(main, "--resume", folder, *arguments) == code
    return folder


def stopped(monkeypatch, folder, *arguments, at, start=train):
    """Train, and send a signal in environment step number `at`, counted from 1."""
    step, calls = EnvStream.step, []

    def counted(stream, actions):
        calls.append(1)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(stream, actions)

    with monkeypatch.context() as patched:
        patched.setattr(EnvStream, "step", counted)
        return start(folder, *arguments, code=143)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def warnings_in(captured):
    assert all(line.startswith("warning: ") or line in STOPPING.decode() for line in captured.err.splitlines())
    return [line.removeprefix("warning: ") for line in captured.err.splitlines() if line.startswith("warning: ")]


class Whole:
    """Run folders of the whole run of some flags, each made once."""

    def __init__(self, tmp_path_factory):
        self._factory, self._made = tmp_path_factory, {}

    def __call__(self, arguments):
        key = " ".join(arguments)
        if key not in self._made:
            self._made[key] = train(self._factory.mktemp("whole") / "run", *arguments)
        return self._made[key]
