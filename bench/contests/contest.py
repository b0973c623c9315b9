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
        launcher = on_ranks(self.ranks) if self.ranks > 1 else []
        arguments = [*launcher, sys.executable, "-m", self.module, self.task, json.dumps(dataclasses.asdict(job))]
        return {"args": arguments, "cwd": ROOT, "env": os.environ | limits(job.threads), "text": True}

    def run(self, job: Any, timeout: float) -> Result:
        """Let it do a whole job; what it printed, or why it printed nothing as "skipped"."""
        try:
            done = subprocess.run(**self.command(job), capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            return {"skipped": f"{self.name} took longer than {timeout:g} s", "threads": job.threads}
        try:
            return json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            return {"skipped": f"{self.name} failed: {last_line(done.stderr)}", "threads": job.threads}


def on_ranks(ranks: int) -> list[str]:
    """The beginning of a command that is to run on so many ranks of MPI; without MPI, it fails with a sentence."""
    launcher = find_mpiexec()
    return [*([launcher] if launcher else ["env", "mpiexec"]), "-n", str(ranks)]


def last_line(text: str) -> str:
    """The last line of what a process printed."""
    return (text.strip().splitlines() or ["no output"])[-1]


def new_document(benchmark: str, options: argparse.Namespace) -> Result:
    """The beginning of what a benchmark writes: its name, the machine, and the versions of our libraries."""
    return {"benchmark": benchmark, "quick": options.quick} | machine() | {"versions": versions(LIBRARIES)}


def commands_before(document: Result) -> list[list[str]]:
    """The arguments of all commands that have written a document, for the one that adds to it."""
    return [*document.get("before", []), document["arguments"]]


def write(path: Path, document: Result) -> None:
    """Write a JSON file, and its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def versions_of(results: Sequence[Result]) -> dict[str, str]:
    """The versions that the contestants told, together."""
    told = [result["versions"] for result in results if "versions" in result]
    return dict(sorted({package: number for one in told for package, number in one.items()}.items()))


def show(lines: Sequence[str]) -> None:
    """Print a section of the ledger."""
    print(*lines, sep="\n", flush=True)


def parser(text: str | None, name: str, timeout: float = 300, rounds: int | None = None) -> argparse.ArgumentParser:
    """The options that the comparisons share.

    Args:
        text: the help.
        name: of the JSON file.
        timeout: seconds of one answer.
        rounds: how often everything takes its turn, if that is an option.
    """
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--quick", action="store_true", help="a short run that shows whether everything works")
    found.add_argument("--timeout", type=float, default=timeout, help=f"seconds for one answer (default {timeout:g})")
    found.add_argument("--out", type=Path, default=OUT / f"{name}.json", help="JSON file for the raw numbers")
    if rounds:
        found.add_argument("--rounds", type=int, default=rounds, help=f"turns of everything (default {rounds})")
    return found
