"""Runs on ranks of MPI, as commands, and what they leave."""

import csv
import subprocess
import sys
import time
from pathlib import Path

from ppo_np.running.launch import find_mpiexec

HERE = Path(__file__).parent
TESTS = HERE.parent
PATIENCE = 100.0  # for whatever is waited for
LONG = "1000000"
SMALL = "--num-envs 4 --num-steps 16 --num-minibatches 2 --update-epochs 2 --shared-sizes 8 --seed 0"
FLAGS = [*SMALL.split(), "--total-timesteps", "640", "--checkpoint-every", "1"]
TRAIN = [sys.executable, "-m", "ppo_np.train"]


def mpiexec(size, *command):
    return [find_mpiexec(), "-n", str(size), *map(str, command)]


def flags(env_id, folder, *more):
    return [*FLAGS, "--env-id", env_id, "--run-dir", str(folder), *map(str, more)]


def run(*command):
    """Exit code, stdout and stderr of a command."""
    done = subprocess.run(list(map(str, command)), cwd=TESTS, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def rows_of(folder, name="metrics.csv"):
    """The rows of a run's log, without times."""
    with open(folder / name, newline="") as file:
        return [{k: v for k, v in row.items() if "time" not in k and k != "SPS"} for row in csv.DictReader(file)]


def wait_for_updates(folder, process, updates):
    metrics, deadline = folder / "metrics.csv", time.monotonic() + PATIENCE
    while not (metrics.exists() and metrics.read_text().count("\n") > updates):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
