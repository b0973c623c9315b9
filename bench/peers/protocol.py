"""What a contestant's process is asked (a job) and what it answers: one JSON line each.

A contestant is a script of this folder, run as a process of its own: nothing that it imports, no thread that it starts
can slow the others, and the peak of its memory is its own. It is started with the job as its only argument.
"""

import dataclasses
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

FRAMEWORKS = ("torch", "jax", "tensorflow")


@dataclass(frozen=True, kw_only=True)
class Job:
    """Environment, network and settings that all contestants of a comparison share; names as in `PPOConfig`.

    Attributes:
        updates: rollouts to train for; in `bench/minibatch.py`, minibatches to time.
        vectorization: "sync", "vector" (the environment's own) or "envpool".
        num_env_threads: of EnvPool. threads: of matrix products.
    """

    env_id: str = "LunarLander-v3"
    vectorization: str = "sync"
    num_env_threads: int = 1
    num_envs: int = 4
    num_steps: int = 128
    updates: int = 100
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

    @property
    def total_timesteps(self) -> int:
        """Transitions in all rollouts."""
        return self.updates * self.batch_size


class Clock:
    """When each update ended; a reading gives steps a second with and without the first update, which may compile.

    Attributes:
        marks: (steps done, seconds, seconds of processor time) at the start and after each update.
    """

    def __init__(self):
        self.marks = []
        self.mark(0)

    def mark(self, steps: int) -> None:
        """An update has ended; `steps` transitions are done, reset rows not counted."""
        self.marks.append((steps, perf_counter(), process_time()))

    def reading(self) -> dict[str, float]:
        """The figures of a run of at least two updates. `cores_used` shows whether a limit of threads was kept."""
        first, second, last = self.marks[0], self.marks[1], self.marks[-1]
        steps, seconds, cpu = (after - before for before, after in zip(second, last, strict=True))
        return {
            "steps": last[0],
            "seconds": last[1] - first[1],
            "sps": (last[0] - first[0]) / (last[1] - first[1]),
            "sps_without_first_update": steps / seconds,
            "cores_used": cpu / seconds,
        }


def peak_memory_mb() -> float:
    """The most memory that this process has held at one time, in MB.

    Linux keeps the peak of each program; getrusage's also knows the parent's, before the child became another program.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    if kilobytes:
        return kilobytes[0] / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions; packages that are not installed are left out."""
    found = {"python": sys.version.split()[0]}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hide(*modules: str) -> None:
    """Let imports of these modules fail, as if they were not installed."""
    for module in modules:
        sys.modules[module] = None


def from_json(kind: type, text: str) -> Any:
    """A dataclass of that kind from a JSON object; lists stand for tuples."""
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in json.loads(text).items()})


def answer(name: str, packages: tuple[str, ...], measure: Callable[[Any], Mapping], kind: type = Job) -> None:
    """Read the job from the command line, measure, and print the result as one line.

    Args:
        name: of the contestant.
        packages: that it needs, by their names on PyPI; if one is not installed, a sentence says so in the result.
        measure: takes the job; what it returns goes into the result.
        kind: of the job.
    """
    job = from_json(kind, sys.argv[1])
    found = versions(packages)
    missing = [package for package in packages if package not in found]
    if missing:
        result = {"skipped": f"{missing[0]} is not installed: pip install '.[peers]'"}
    else:
        result = {**measure(job), "peak_memory_mb": peak_memory_mb()}
    line = {"name": name, "versions": found, "cores": os.cpu_count(), **dataclasses.asdict(job), **result}
    print(json.dumps(line), flush=True)
