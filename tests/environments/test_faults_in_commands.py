"""Faulty environments in the train command: one sentence, nothing lost, no process left behind."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import faulty
import numpy as np
import pytest
from commands import run
from sentences import NUMBER, REWARD, SAID, SILENCE

from ppo_np import PPO
from ppo_np.running import cli
from ppo_np.running.options import parse
from ppo_np.running.signals import STOPPING
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.train import main

pytestmark = pytest.mark.faults

PATIENCE = 60.0
FLAGS = [
    "--seed", "0", "--num-envs", "3", "--num-steps", "8", "--num-minibatches", "1", "--shared-sizes", "8",
    "--total-timesteps", "1000", "--log-every", "1000",
]  # fmt: skip
both_ways = pytest.mark.parametrize("vectorization", ["sync", "async"])


def params_after(updates, arguments):
    """The parameters after so many updates of a run with these arguments, without the fault."""
    ppo, seen = PPO(parse(arguments).config, "faulty:Healthy-v0"), []
    ppo.learn(lambda ppo, _: seen.append(ppo.policy.model.params.copy()) or len(seen) < updates)
    ppo.close()
    return seen[-1]


def check_run(folder, arguments, updates):
    saved = read_checkpoint(folder / "checkpoint.h5")
    assert saved.counters["update"] == updates
    flat = np.concatenate([tensor.reshape(-1) for tensor in saved.parameters.values()])
    assert np.array_equal(flat, params_after(updates, arguments))
    assert saved.environments is not None, "it can be gone on from"
    assert (folder / "metrics.csv").read_text().count("\n") == updates + 1


@pytest.mark.parametrize("vectorization", ["sync", "async", "vector"])
@pytest.mark.parametrize(
    ("env_id", "expected"),
    [("NaN", REWARD.format("nan")), ("Raising", SAID), ("Hanging", SILENCE)],
    ids=["nan", "raising", "hanging"],
)
def test_the_command_tells_it_and_keeps_what_was_learnt(tmp_path, capfd, vectorization, env_id, expected):
    timeout = "1" if env_id == "Hanging" else "60"
    arguments = [
        *FLAGS, "--env-id", f"faulty:{env_id}-v0", "--vectorization", vectorization, "--env-timeout", timeout,
        "--run-dir", str(tmp_path / "run"),
    ]  # fmt: skip
    assert run(main, *arguments) == cli.FAILED
    if vectorization == "vector" and env_id != "NaN":
        expected = expected.replace("environment 2", "the vector environment")
    step = 15 if vectorization == "vector" else 13  # the former counts two steps for resets
    err = capfd.readouterr().err
    hint = r" See where it comes from: python -m ppo_np\.replay .*/crash\.h5" if env_id == "NaN" else ""
    assert re.fullmatch(rf"error: In step {step}, {expected}\.{hint}\n", err), err
    assert (tmp_path / "run" / "crash.h5").exists() == (env_id == "NaN")
    arguments[arguments.index("--run-dir") + 1] = str(tmp_path / "other")
    check_run(tmp_path / "run", arguments, updates=1)
    assert multiprocessing.active_children() == []


@both_ways
@pytest.mark.parametrize(("env_id", "expected"), [("Late", SILENCE), ("Infinite", NUMBER.format(0, "inf"))])
def test_the_command_tells_what_happens_before_training_and_leaves_no_folder(
    tmp_path, capfd, vectorization, env_id, expected
):
    arguments = [*FLAGS, "--env-id", f"faulty:{env_id}-v0", "--vectorization", vectorization, "--env-timeout", "1"]
    assert run(main, *arguments, "--run-dir", tmp_path / "run") == cli.FAILED
    err = capfd.readouterr().err
    assert re.fullmatch(rf"error: In step 0, {expected}\.\n", err), err
    assert not (tmp_path / "run").exists()


class Command:
    """`python -m ppo_np.train` on workers, in a session of its own."""

    def __init__(self, folder, env_id, *more):
        self.folder = folder
        self.arguments = [*FLAGS, "--env-id", f"faulty:{env_id}-v0", "--vectorization", "async", *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ppo_np.train", *self.arguments, "--run-dir", str(folder)],
            cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def wait_for_updates(self, updates):
        metrics, deadline = self.folder / "metrics.csv", time.monotonic() + PATIENCE
        while not (metrics.exists() and metrics.read_text().count("\n") > updates):
            assert time.monotonic() < deadline
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def finish(self, ending=0.0):
        """Exit code, stdout, stderr; the latter end only when the last process that holds them ends.

        Then no process is left, at once where the main process has waited for its workers. Without it, the last worker
        closes its pipes a moment before it is gone: it has `ending` seconds.
        """
        out, err = self.process.communicate(timeout=PATIENCE)
        deadline = time.monotonic() + ending
        while faulty.processes_of(self.process.pid) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert faulty.processes_of(self.process.pid) == []
        return self.process.returncode, out, err


def test_a_deaf_and_hanging_worker_does_not_outlive_the_command(tmp_path):
    command = Command(tmp_path / "run", "Deaf", "--env-timeout", "1")
    code, _, err = command.finish()
    assert code == cli.FAILED
    assert re.fullmatch(rf"error: In step 13, {SILENCE}\.\n", err), err
    check_run(tmp_path / "run", command.arguments, updates=1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_processes_stops_in_order(tmp_path, number, code):
    command = Command(tmp_path / "run", "Healthy", "--total-timesteps", "100000000")
    command.wait_for_updates(3)
    os.killpg(command.process.pid, number)
    ended, out, err = command.finish()
    assert (ended, err) == (code, STOPPING.decode())
    assert "Training interrupted" in out
    assert read_checkpoint(tmp_path / "run" / "checkpoint.h5").counters["update"] >= 3


def test_workers_end_when_the_main_process_is_killed(tmp_path):
    command = Command(tmp_path / "run", "Healthy", "--total-timesteps", "100000000")
    command.wait_for_updates(3)
    assert len(faulty.processes_of(command.process.pid)) >= 4
    command.process.kill()
    start = time.monotonic()
    code, _, err = command.finish(ending=1.0)
    assert (code, err) == (-signal.SIGKILL, "")
    assert time.monotonic() - start < 5
