"""Contestants, each in a process of its own with its threads limited; and what is written of them."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import ROOT, limits, machine
from bench.peers.protocol import versions
from ppo_np.running.launch import find_mpiexec

OUT = ROOT / "runs" / "bench"
LIBRARIES = ("numpy", "numba", "scipy", "gymnasium", "h5py")

Result = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A module of `bench.peers` with a short name.

    Attributes:
        module, task: what `python -m` runs, and which of its tasks.
        threads: numbers of threads that are tried.
        ranks: if more than one, it is started on so many ranks of MPI.
    """

    name: str
    module: str
    task: str = "train"
    threads: tuple[int, ...] = (1, 2)
    ranks: int = 1

    def command(self, job: Any) -> dict[str, Any]:
        """How a process of it is started: arguments for `subprocess`."""
        return command(self.module, self.task, job, threads=job.threads, ranks=self.ranks)

    def run(self, job: Any, timeout: float) -> Result:
        """Let it do a whole job; what it printed, or why it printed nothing as "skipped"."""
        try:
            return answer(self.command(job), timeout)
        except subprocess.TimeoutExpired:
            return {"skipped": f"{self.name} took longer than {timeout:g} s"}
        except RuntimeError as error:
            return {"skipped": f"{self.name} {error}"}


def command(module: str, task: str, *arguments: Any, threads: int = 1, ranks: int = 1) -> dict[str, Any]:
    """How a module is started with a task and arguments, on so many ranks of MPI: arguments for `subprocess`."""
    # Without MPI, `env` fails with a sentence.
    launcher = ["env", find_mpiexec() or "mpiexec", "-n", str(ranks)] if ranks > 1 else []
    texts = [json.dumps(dataclasses.asdict(one) if dataclasses.is_dataclass(one) else one) for one in arguments]
    words = [*launcher, sys.executable, "-m", module, task, *texts]
    return {"args": words, "cwd": ROOT, "env": os.environ | limits(threads), "text": True}


def answer(command: dict[str, Any], timeout: float) -> Any:
    """What a process prints as JSON, in its last line; RuntimeError if it fails."""
    done = subprocess.run(**command, capture_output=True, timeout=timeout, check=False)
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise RuntimeError(f"failed: {last_line(done.stderr)}") from error


def last_line(text: str) -> str:
    """The last line of what a process printed."""
    return (text.strip().splitlines() or ["no output"])[-1]


def begin(
    text: str | None, name: str, timeout: float = 300, rounds: int | None = None, **more: Result
) -> tuple[argparse.Namespace, Result]:
    """Read a command line; its options, and the beginning of the document that the benchmark writes.

    `text` is the help. `rounds` is an option if there is a default. `more` are further ones, as `add_argument` wants.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short run that shows whether everything works")
    parser.add_argument("--timeout", type=float, default=timeout, help=f"seconds for one answer (default {timeout:g})")
    parser.add_argument("--out", type=Path, default=OUT / f"{name}.json", help="JSON file for the raw numbers")
    if rounds:
        more["rounds"] = {"type": int, "default": rounds, "help": f"turns of everything (default {rounds})"}
    for option, settings in more.items():
        parser.add_argument(f"--{option}", **settings)
    options = parser.parse_args()
    document = {"benchmark": name, "quick": options.quick} | machine() | {"versions": versions(LIBRARIES)}
    if getattr(options, "add", False):
        document["before"] = commands_before(json.loads(options.out.read_text()))
    return options, document


def commands_before(document: Result) -> list[list[str]]:
    """The arguments of all commands that have written a document, for the one that adds to it."""
    return [*document.get("before", []), document["arguments"]]


def write(path: Path, document: Result) -> None:
    """Write a JSON file, and its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def versions_of(results: Sequence[Result]) -> dict[str, str]:
    """The versions that the contestants told, together."""
    told = [item for result in results for item in result.get("versions", {}).items()]
    return dict(sorted(dict(told).items()))


def show(lines: Sequence[str]) -> None:
    """Print a section of the ledger."""
    print(*lines, sep="\n", flush=True)
