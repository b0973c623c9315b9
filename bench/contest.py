"""Contestants in processes of their own, with their threads limited, taking turns; and what is written of them."""

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from results import commit
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
OUT = HERE.parent / "runs" / "bench"
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM", "NUMBA")
sys.path.append(str(PEERS))

Result = dict[str, Any]


@dataclass(frozen=True)
class Contestant:
    """A script of `peers/` with a short name, and what its job has that the others' has not."""

    name: str
    script: str
    threads: tuple[int, ...] = (1, 2)

    def run(self, job: Any, timeout: float) -> Result:
        """Run it once; what it printed, or why it printed nothing as "skipped"."""
        command = [sys.executable, str(PEERS / self.script), json.dumps(dataclasses.asdict(job))]
        try:
            env = os.environ | limits(job.threads)
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, check=False)
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


def compete(
    contestants: Sequence[Contestant],
    job: Any,
    figure: str,
    *,
    best: Callable[[Sequence[float]], float] = max,
    repeats: int,
    timeout: float,
    tell: Callable[[str], None] = print,
) -> list[Result]:
    """Find each contestant's best number of threads, then let all take turns: A B C A B C ...

    Args:
        contestants: who.
        job: the same for all but for the number of threads.
        figure: what is compared, a key of the results.
        best: max if more is better, else min.
        repeats: turns of each. The trials that choose the number of threads are kept apart.
        timeout: seconds for one run.
        tell: is told of each run.

    Returns:
        One for each contestant: its name, threads, trials, runs, and the median, least and most of the figure; or
        "skipped", a sentence.
    """

    def turn(contestant: Contestant, threads: int) -> Result:
        result = contestant.run(dataclasses.replace(job, threads=threads), timeout)
        shown = result.get("skipped") or f"{result[figure]:,.0f} {figure}"
        tell(f"{contestant.name}, {threads} thread{'s'[: threads > 1]}: {shown}")
        return result

    trials = {one.name: [turn(one, threads) for threads in one.threads] for one in contestants}
    chosen = {name: choose(tried, figure, best) for name, tried in trials.items()}
    runs = {one.name: [] for one in contestants}
    for _ in range(repeats):
        for one in contestants:
            if chosen[one.name]:
                runs[one.name].append(turn(one, chosen[one.name]))
    return [
        {"contestant": name, "threads": chosen[name], "trials": trials[name], "runs": runs[name]}
        | summary(trials[name] if chosen[name] is None else runs[name], figure)
        for name in trials
    ]


def choose(trials: Sequence[Result], figure: str, best: Callable) -> int | None:
    """The number of threads of the best trial; None if none came to an end."""
    ended = {trial[figure]: trial["threads"] for trial in trials if "skipped" not in trial}
    return ended[best(ended)] if ended else None


def summary(runs: Sequence[Result], figure: str) -> Result:
    """Median, least and most of the figure over the runs that came to an end; why there are none."""
    values = [run[figure] for run in runs if "skipped" not in run]
    if not values:
        return {"skipped": next((run["skipped"] for run in runs), "no run")}
    return {"median": median(values), "min": min(values), "max": max(values)}


def machine() -> dict[str, Any]:
    """The processor, as far as the system tells it, what else it does, the day, and the commit that is measured."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": f"{date.today()}",
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load_at_start": load,
        **commit(),
    }


def write(path: Path, document: Result) -> None:
    """Write a JSON file, and its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def versions_of(results: Sequence[Result]) -> dict[str, str]:
    """The versions that the contestants told, together."""
    told = [run["versions"] for result in results for run in result["trials"] + result["runs"] if "versions" in run]
    return dict(sorted({package: number for versions in told for package, number in versions.items()}.items()))


def show(title: str, results: Sequence[Result], unit: str, *, less_is_better: bool = False) -> None:
    """Print a table: median and range of each contestant, and how many times as good the first one is."""
    table = Table(title=title)
    for heading in ("contestant", "threads", unit, "min to max", "MB", "first is x"):
        table.add_column(heading, justify="left" if heading == "contestant" else "right", no_wrap=True)
    console = Console()
    for result in results:
        if "skipped" in result:
            continue
        numbers = f"{result['median']:,.0f}", f"{result['min']:,.0f} to {result['max']:,.0f}"
        memory = f"{median(run['peak_memory_mb'] for run in result['runs'] if 'skipped' not in run):,.0f}"
        ratio = results[0].get("median", float("nan")) / result["median"]
        ratio = 1 / ratio if less_is_better else ratio
        table.add_row(result["contestant"], str(result["threads"]), *numbers, memory, f"{ratio:.2f}")
    console.print(table)
    for result in results:
        if "skipped" in result:
            console.print(f"Left out: {result['contestant']} ({result['skipped']}).", highlight=False, markup=False)


def parser(text: str | None, name: str, repeats: int) -> argparse.ArgumentParser:
    """The options that the comparisons share; `name` is that of the JSON file."""
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--quick", action="store_true", help="a short run that shows whether everything works")
    found.add_argument("--repeats", type=int, default=repeats, help=f"turns of each contestant (default {repeats})")
    found.add_argument("--timeout", type=float, default=900, help="seconds for one run (default 900)")
    found.add_argument("--out", type=Path, default=OUT / f"{name}.json", help="JSON file for the raw numbers")
    return found
