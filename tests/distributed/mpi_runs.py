"""Runs on ranks of MPI, as commands, and what they leave."""

import csv
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from durability.kill.processes import processes_of

from ppo_np.running.launch import find_mpiexec
from ppo_np.saving.checkpoint import read_checkpoint

HERE = Path(__file__).parent
TESTS = HERE.parent
PATIENCE = 100.0  # for whatever is waited for
AT_ONCE = 10.0  # what a fault may take to end all ranks
AFTER_A_SIGNAL = AT_ONCE + 8.0  # if they cannot stop together
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


def shared_memory_of(pid):
    """The files of MPICH's shared memory that a process has mapped, also those whose names are removed by now."""
    try:
        return set(re.findall(r"/dev/shm/mpich\w+", (Path("/proc") / str(pid) / "maps").read_text()))
    except OSError:
        return set()


class Ranks:
    """A long run on two ranks with environments in worker processes, which is ended."""

    def __init__(self, folder, env_id="CartPole-v1", *more, by_launcher=False):
        self.folder = folder
        self.shared_memory = set()
        arguments = flags(env_id, folder, "--vectorization", "async", "--total-timesteps", LONG, *more)
        command = mpiexec(2, *TRAIN, *arguments) if by_launcher else [*TRAIN, *arguments, "--ranks", "2"]
        self.process = subprocess.Popen(
            command, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def wait_for_updates(self, updates):
        wait_for_updates(self.folder, self.process, updates)
        self.note_shared_memory()

    def note_shared_memory(self):
        """Of this run's processes only: others may run on this machine."""
        self.shared_memory.update(*map(shared_memory_of, processes_of(self.folder)))

    def pid_of(self, rank):
        """The rank itself: the others with its number are its workers, which were started later."""
        return min(pid for pid, its_rank in processes_of(self.folder).items() if its_rank == rank)

    def finish(self, since=None, limit=AT_ONCE):
        """Exit code and stderr; no process and no memory of MPICH's is left, and the checkpoint is whole."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self.note_shared_memory()
            time.sleep(0.02)
        out, err = self.process.communicate(timeout=PATIENCE)
        while processes_of(self.folder) and time.monotonic() < (since or time.monotonic()) + limit:
            time.sleep(0.02)
        assert processes_of(self.folder) == {}
        assert self.shared_memory
        assert [name for name in self.shared_memory if os.path.exists(name)] == []
        if since is not None:
            assert time.monotonic() - since < limit
        assert read_checkpoint(self.folder / "checkpoint.h5").counters["update"] >= 0
        self.out = out
        return self.process.returncode, err
