"""Contestants, each in a process of its own with its threads limited; and what is written of them."""

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from results import commit
from rich.console import Console
from rich.table import Table
from speed import processor

from ppo_np.launch import find_mpiexec

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
OUT = HERE.parent / "runs" / "bench"
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "NUMBA")
sys.path.append(str(PEERS))

Result = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A script of `peers/` with a short name.

    Attributes:
        threads: numbers of threads that are tried.
        ranks: if more than one, it is started on so many ranks of MPI.
    """

    name: str
    script: str
    threads: tuple[int, ...] = (1, 2)
    ranks: int = 1

    def command(self, job: Any) -> dict[str, Any]:
        """How a process of it is started: arguments for `subprocess`."""
        launcher = [find_mpiexec() or "mpiexec", "-n", str(self.ranks)] if self.ranks > 1 else []
        arguments = [*launcher, sys.executable, str(PEERS / self.script), json.dumps(dataclasses.asdict(job))]
        return {"args": arguments, "env": os.environ | limits(job.threads), "text": True}

    def run(self, job: Any, timeout: float) -> Result:
        """Let it do a whole job; what it printed, or why it printed nothing as "skipped"."""
        try:
            done = subprocess.run(**self.command(job), capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            return {"skipped": f"{self.name} took longer than {timeout:g} s", "threads": job.threads}
        try:
            return json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            return {"skipped": f"{self.name} failed: {last}", "threads": job.threads}


def limits(threads: int) -> dict[str, str]:
    """Environment variables that keep the libraries to so many threads. JAX has no setting; XLA's flags are its way."""
    pools = {f"{pool}_NUM_THREADS": str(threads) for pool in POOLS}
    eigen = "true" if threads > 1 else "false"
    flags = f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
    return pools | {"NPROC": str(threads), "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


def machine() -> dict[str, Any]:
    """The processor, what else it does, the day, the commit that is measured, and the command line's arguments."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": f"{date.today()}",
        "cpu": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load_at_start": load,
        "arguments": sys.argv[1:],
        **commit(),
    }


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
    return dict(sorted({package: number for versions in told for package, number in versions.items()}.items()))


def show(title: str, results: Sequence[Result], unit: str) -> None:
    """Print a table: median and range of each contestant, and how many times as fast the first one is."""
    table = Table(title=title)
    for heading in ("contestant", "threads", unit, "MB", "first is x", "quartiles"):
        table.add_column(heading, justify="left" if heading == "contestant" else "right", no_wrap=True)
    console = Console()
    for result in results:
        if "skipped" in result:
            console.print(f"Left out: {result['contestant']} ({result['skipped']}).", highlight=False, markup=False)
            continue
        ratio = result.get("ratio")
        times = (f"{ratio['median']:.2f}", f"{ratio['q1']:.2f} to {ratio['q3']:.2f}") if ratio else ("", "")
        numbers = f"{result['median']:,.0f}", f"{result['peak_memory_mb']:,.0f}"
        table.add_row(result["contestant"], str(result["threads"]), *numbers, *times)
    console.print(table)


def parser(text: str | None, name: str, timeout: float = 300) -> argparse.ArgumentParser:
    """The options that the comparisons share; `name` is that of the JSON file, `timeout` that of one answer."""
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--quick", action="store_true", help="a short run that shows whether everything works")
    found.add_argument("--timeout", type=float, default=timeout, help=f"seconds for one answer (default {timeout:g})")
    found.add_argument("--out", type=Path, default=OUT / f"{name}.json", help="JSON file for the raw numbers")
    return found
