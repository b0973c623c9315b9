"""What a contestant's process is asked and what it answers, a line at a time.

A contestant is a module of this folder, run as a process of its own (`python -m bench.peers.ours train '{}'`): nothing
that it imports, no thread that it starts can slow the others, and the peak of its memory is its own.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO


@dataclass(frozen=True, kw_only=True)
class Job:
    """Environment, network and settings that all contestants of a comparison share; names as in `PPOConfig`.

    Attributes:
        total_timesteps: that schedules are made for; the contest ends long before.
        vectorization: "sync", "vector" (the environment's own), "envpool" or "compiled" (ours).
        num_env_threads: of EnvPool. threads: of matrix products.
    """

    env_id: str = "LunarLander-v3"
    vectorization: str = "sync"
    num_env_threads: int = 1
    num_envs: int = 4
    num_steps: int = 128
    total_timesteps: int = 1_000_000_000
    num_minibatches: int = 4
    update_epochs: int = 4
    learning_rate: float = 2.5e-4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    shared_sizes: tuple[int, ...] = ()
    policy_sizes: tuple[int, ...] = (64, 64)
    value_sizes: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    threads: int = 1
    seed: int = 1

    @property
    def batch_size(self) -> int:
        """Transitions in one rollout."""
        return self.num_envs * self.num_steps

    @property
    def minibatch_size(self) -> int:
        """Transitions in one minibatch."""
        return self.batch_size // self.num_minibatches


@dataclass(frozen=True, kw_only=True)
class Race:
    """A job of bench/contests/solve.py, presets.py and pendulum.py.

    Attributes:
        started: time.time() when the process was started.
        vectorization: how ours steps the environments that it learns in; evaluations are always Gymnasium's.
        total_timesteps: the steps that the contestant's schedules are made for; it ends there, solved or not.
            None of these two: what the preset says.
        check_every: steps between evaluations.
        threshold, episodes, first_seed: solved is such a mean return in greedy episodes with seeds from that one on.
    """

    started: float
    env_id: str = "LunarLander-v3"
    vectorization: str | None = "sync"
    seed: int = 1
    threads: int = 1
    total_timesteps: int | None = 1_000_000
    check_every: int = 16_384
    threshold: float = 200.0
    episodes: int = 100
    first_seed: int = 10_000


RACES = "solve", "pendulum"


class Clock:
    """Lets a contestant work in slices. Between them it waits, blocked, to be told how many updates come next.

    Args:
        asked: gives two numbers a line: updates that are timed, and updates before them that are not. Its end ends the
            process.
        told: takes a JSON line after each slice.

    Attributes:
        left: updates until the end of this slice.
    """

    def __init__(self, asked: TextIO, told: TextIO):
        self._asked, self._told = asked, told
        self.left, self._timed, self._begin = 0, 0, (0, 0.0)

    def say(self, **line: Any) -> None:
        """Tell the contest something."""
        print(json.dumps(line), file=self._told, flush=True)

    def start(self, steps: int = 0) -> None:
        """All is ready for the next update; wait for the next slice."""
        words = self._asked.readline().split()
        if not words:
            raise SystemExit
        self._timed, untimed = map(int, words)
        self.left = self._timed + untimed
        self._begin = steps, perf_counter()

    def mark(self, steps: int) -> None:
        """An update has ended; `steps` transitions are done since the start, reset rows not counted."""
        self.left -= 1
        if self.left == self._timed:
            self._begin = steps, perf_counter()
        if self.left == 0:
            before, begin = self._begin
            self.say(steps=steps - before, seconds=perf_counter() - begin, peak_memory_mb=peak_memory_mb())
            self.start(steps)


def peak_memory_mb() -> float:
    """The most memory that this process has held at one time, in MB, as Linux tells it.

    getrusage's peak also knows the parent's, before the child became another program.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions; packages that are not installed are left out."""
    installed = {one.metadata["Name"]: one.version for package in packages for one in distributions(name=package)}
    return {"python": sys.version.split()[0]} | installed


def from_json(kind: type, text: str) -> Any:
    """A dataclass of that kind from a JSON object; lists stand for tuples."""
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in json.loads(text).items()})


def perform(name: str, packages: tuple[str, ...], **tasks: Callable[..., Any]) -> None:
    """Do the task that the command line names first, for the job that it gives as JSON.

    A task with a `Clock` introduces the contestant, then works for ever in slices, until the contest ends it. One of
    `RACES` does a whole race, and what it returns is printed as one line.

    Args:
        name: of the contestant.
        packages: whose versions are told.
        tasks: functions of a `Race`, or of a `Job` and a `Clock`.
    """
    task, text = sys.argv[1:]
    about = {"name": name, "versions": versions(packages)}
    if task in RACES:
        result = tasks[task](from_json(Race, text))
        print(json.dumps(about | json.loads(text) | result | {"peak_memory_mb": peak_memory_mb()}), flush=True)
        return
    # Standard output is for the contest; what libraries print there goes to standard error.
    clock = Clock(sys.stdin, os.fdopen(os.dup(sys.stdout.fileno()), "w"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    clock.say(versions=about["versions"])
    tasks[task](from_json(Job, text), clock)
