"""The gate against slow-downs: has a kernel become slower, compared with plain NumPy in the same process?

Absolute times mean nothing on a machine that is shared, or another one; ratios do (turns.py takes them). The gate
measures ours / NumPy's for kernels, a whole minibatch and an acting step, and fails if a ratio is more than
allowed: {margin:g} times the highest of the recorded runs, and {elsewhere:g} times that on another kind of processor
than the recorded one. What seems too slow is measured again, up to {again} times, before it counts. NumPy does without
AVX-512: where it has that, its tanh is another function, several times as fast, and old ratios would mean nothing.

    python -m bench.gate                      # exit code 1, and a sentence for each kernel, if it fails
    python -m bench.gate --record             # write baseline.json anew, from runs in processes of their own
    python -m bench.gate --plant libm-tanh    # plant a slow-down: it must fail
"""

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from statistics import median
from typing import NamedTuple

import llvmlite.binding
import numpy as np

from bench.gate.cases import CASES, case_of
from bench.gate.slow_downs import PLANTS
from bench.gate.turns import Turns
from bench.machine import ROOT, processor
from bench.ours import library_versions, limit_blas_threads
from bench.reference.agreement import check_case
from bench.report.tables import print_table
from kernels._jit import COMPILED

BASELINE = Path(__file__).with_name("baseline.json")
# Over 18 runs beside other work, on one core or on both, no ratio was more than 1.25 times the highest of 7 recorded.
MARGIN, ELSEWHERE, AGAIN = 1.5, 2.0, 3
TURNS, RUNS = 200, 7


def architecture() -> str:
    """The kind of processor that kernels are compiled for, by LLVM's name."""
    return llvmlite.binding.get_host_cpu_name()


class Verdict(NamedTuple):
    """A case's ratio (ours / NumPy's), the median of the recorded ones, and the most that passes."""

    name: str
    ratio: float
    baseline: float
    allowed: float

    @property
    def failed(self) -> bool:
        """Whether it has become slower."""
        return self.ratio > self.allowed

    @property
    def improved(self) -> bool:
        """Whether it is so much faster that the old baseline would let a slow-down pass."""
        return self.ratio * MARGIN < self.baseline

    def sentence(self) -> str:
        """What is wrong, or what could be done."""
        found = f"{self.name}: ours / NumPy is {self.ratio:.3f}, the baseline {self.baseline:.3f}"
        if self.failed:
            return f"{found}, allowed {self.allowed:.3f}: it has become {self.ratio / self.baseline:.1f} times as slow."
        return f"{found}: it has become faster; `python -m bench.gate --record` renews the baseline."


def judge(ratios: dict[str, float], baseline: dict) -> list[Verdict]:
    """Compare with the recorded ratios."""
    factor = MARGIN * (1 if baseline["processor"] == architecture() else ELSEWHERE)
    recorded = {name: baseline["ratios"][name] for name in ratios}
    return [Verdict(name, ratios[name], old["median"], factor * old["highest"]) for name, old in recorded.items()]


def measure(names: Iterable[str], baseline: dict, plant: str | None = None) -> list[Verdict]:
    """Take turns and judge; let those that fail take more turns."""
    taken = Turns(names, plant)
    taken.take(TURNS)
    for _ in range(AGAIN):
        slow = [verdict.name for verdict in judge(taken.ratios(), baseline) if verdict.failed]
        if not slow:
            break
        taken.take(TURNS, slow)
    return judge(taken.ratios(), baseline)


def record(names: Iterable[str], runs: int) -> dict:
    """Measure in several processes, one after another; what goes into baseline.json."""
    command = [sys.executable, "-m", "bench.gate", "--ratios", "--only", *names]
    told = [subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout for _ in range(runs)]
    of_each = {name: [json.loads(text)[name] for text in told] for name in names}
    ratios = {name: {"median": round(median(f), 4), "highest": round(max(f), 4)} for name, f in of_each.items()}
    about = {"date": f"{date.today()}", "processor": architecture(), "cpu": processor(), **library_versions()}
    return about | {"runs": runs, "turns": TURNS, "ratios": ratios}


def show(verdicts: list[Verdict], baseline: dict) -> None:
    """Print the table, then the sentences."""
    rows = [(one.name, *(f"{number:.3f}" for number in one[1:])) for one in verdicts]
    print_table("ours / NumPy, time of a call: less is better", ("case", "ratio", "baseline", "allowed"), rows)
    print(*(one.sentence() for one in verdicts if one.failed or one.improved), sep="\n")
    if baseline["processor"] != architecture():
        kinds = f"({baseline['processor']}, and this is {architecture()})"
        print(f"The baseline is from another kind of processor {kinds}: {ELSEWHERE:g} times as much is allowed.")


def main(arguments: list[str] | None = None) -> int:
    """Measure and judge, or record; the exit code."""
    text = __doc__.format(margin=MARGIN, elsewhere=ELSEWHERE, again=AGAIN)
    parser = ArgumentParser(prog="python -m bench.gate", description=text, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE", help="these cases")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--record", type=int, nargs="?", const=RUNS, metavar="RUNS", help="record so many runs")
    what.add_argument("--plant", choices=PLANTS, help="plant a slow-down first")
    what.add_argument("--ratios", action="store_true", help="print the ratios as JSON, and judge nothing")
    options = parser.parse_args(arguments)
    if not COMPILED:
        sys.exit("NUMBA_DISABLE_JIT is set, but speed is measured of compiled kernels.")
    if options.record:
        BASELINE.write_text(json.dumps(record(options.only, options.record), indent=1) + "\n")
        return 0
    with limit_blas_threads(1):
        for name in options.only:
            check_case(case_of(name))
        if options.ratios:
            taken = Turns(options.only)
            taken.take(TURNS)
            print(json.dumps(taken.ratios()))
            return 0
        baseline = json.loads(BASELINE.read_text())
        verdicts = measure(options.only, baseline, options.plant)
    show(verdicts, baseline)
    return int(any(verdict.failed for verdict in verdicts))


def start() -> int:
    """Run `main`; if NumPy uses AVX-512, in a process where it does not. The exit code."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    avx512 = [name for name in found if name.startswith("AVX512") or name == "X86_V4"]
    if not avx512 or "NPY_DISABLE_CPU_FEATURES" in os.environ:
        return main()
    env = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(avx512)}
    return subprocess.run([sys.executable, "-m", "bench.gate", *sys.argv[1:]], env=env, check=False).returncode
