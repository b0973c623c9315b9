"""Fuzz the reading of checkpoints and crash files: mutants of whole files, read in a process under limits.

    python tests/durability/fuzz/run.py                     # 10,000 raw mutants and 10,000 with a seal that is right
    python tests/durability/fuzz/run.py --mutants 500 --seed 7
    python tests/durability/fuzz/run.py --plant seal             # a weak reader, which has to be found: exit code 1

A *raw* mutant is what accidents make of a file. It must be refused in one sentence, or load equal. A *resealed* one is
what an adversary makes, who can compute the seal: it must be refused in one sentence, or load. Neither may end the
process, hang, take more memory than a small multiple of the file, or execute, load or write anything. Every so often
what was read is used as well: `PPO.load` of a checkpoint, the stages of a crash file.

Exit code 1 if a mutant failed. The same seed makes the same mutants. Needs Linux or macOS.
"""

import argparse
import json
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import damage
import forgery
import originals
import plants

HERE = Path(__file__).resolve().parent
SECONDS = 10.0  # of the processor's time, for one mutant
START_SECONDS = 300.0  # for a worker to begin: kernels may have to be compiled
SETS = ("raw", "resealed")
VERDICTS = ("refused", "equal", "other", "failed")
SHOWN = 20


class Mutant(NamedTuple):
    """A file that is not what it was, by which function."""

    number: int
    made_by: str
    original: str
    raw: bool
    data: bytes


class Worker:
    """The process that reads; after a death, another one."""

    def __init__(self, folder: Path, deep: bool, plant: str, seconds: float):
        self._command = [sys.executable, str(HERE / "worker.py"), str(folder), str(seconds)]
        self._command += ["deep" if deep else "", plant]
        self._seconds, self._process = seconds, None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._answer(START_SECONDS) is None:
            sys.exit("the worker cannot read the original files")

    def judge(self, mutant: Mutant, path: Path, deep: bool) -> dict:
        """What became of a mutant that lies at `path`."""
        if self._process is None:
            self.start()
        request = {"path": str(path), "original": mutant.original, "raw": mutant.raw, "deep": deep}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._answer(3 * self._seconds + 10)
        if answer is None:
            hung = self._process.poll() is None and not self._has_ended()
            code = self.stop()
            hung = hung or code == -signal.SIGXCPU
            answer = {"verdict": "failed", "why": "it hangs" if hung else f"the process ends with code {code}"}
        return answer

    def _has_ended(self) -> bool:
        """Whether the end of its output is due to its own end, which the system may tell a moment later."""
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def _answer(self, seconds: float) -> dict | None:
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def stop(self) -> int | None:
        """End it; its exit code."""
        if self._process is None:
            return None
        self._process.stdin.close()
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
        code = self._process.wait()
        self._process.stdout.close()
        self._process = None
        return code


def mutant(wholes: list[originals.Original], raw: bool, number: int, seed: int) -> Mutant:
    """Mutant `number` of a set; it depends on nothing but the seed and the originals."""
    rng = random.Random(f"{seed} {raw} {number}")
    while True:
        whole = rng.choice(wholes)
        others = [other.data for other in wholes if other is not whole]
        if raw or rng.random() < 0.5:
            function = rng.choice(damage.DAMAGES)
            data, name = function(whole.data, rng, others), function.__name__
            data, name = (data, name) if raw else (forgery.reseal(data), f"{name}, resealed")
        else:
            function = rng.choice(forgery.FORGERIES)
            data, name = function(whole.data, rng), function.__name__
        if data != whole.data:
            return Mutant(number, name, whole.name, raw, data)


def fuzz(
    wholes: list[originals.Original], folder: Path, options: argparse.Namespace
) -> tuple[dict[str, Counter], list[str]]:
    """Read all mutants; counts of the verdicts by what made the mutants, and what went wrong."""
    files = folder / "wholes"
    files.mkdir()
    for whole in wholes:
        (files / f"{whole.name}.h5").write_bytes(whole.data)
    worker = Worker(files, bool(options.deep_every), options.plant, options.seconds)
    counts: dict[str, Counter] = {}
    failures, path = [], folder / "mutant.h5"
    try:
        for raw in [kind == "raw" for kind in options.only or SETS]:
            for number in range(options.mutants):
                one = mutant(wholes, raw, number, options.seed)
                path.write_bytes(one.data)
                deep = bool(options.deep_every) and number % options.deep_every == 0
                answer = worker.judge(one, path, deep)
                counts.setdefault(one.made_by, Counter())[answer["verdict"]] += 1
                if answer["verdict"] == "failed":
                    failures.append(f"{one.made_by}, number {number}, of {one.original}: {answer['why']}")
                    keep(options.keep, one)
    finally:
        worker.stop()
    return counts, failures


def keep(folder: Path | None, one: Mutant) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{'raw' if one.raw else 'resealed'}-{one.number}.h5").write_bytes(one.data)


def row(name: str, counts: Counter) -> None:
    numbers = [counts.total(), *(counts[verdict] for verdict in VERDICTS)]
    print("|", " | ".join([f"{name:28}", *(f"{number:>8,}" for number in numbers)]), "|")


def report(counts: dict[str, Counter], failures: list[str]) -> None:
    """A table, and what failed."""
    print("|", " | ".join([f"{'mutants by':28}", *(f"{head:>8}" for head in ("all", *VERDICTS))]), "|")
    print("|---" + 5 * "|---:" + "|")
    for name, verdicts in counts.items():
        row(name, verdicts)
    row("all", sum(counts.values(), Counter()))
    kinds: dict[str, list[str]] = {}
    for failure in failures:
        kinds.setdefault(re.sub("[0-9,]+", "N", failure.split(": ")[1]), []).append(failure)
    for alike in sorted(kinds.values(), key=len, reverse=True)[:SHOWN]:
        print(f"\nfailed {len(alike)} times, for instance {alike[0]}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=10_000, help="of each of the two sets (default: 10,000)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--only", nargs=1, choices=SETS, help="one of the two sets")
    parser.add_argument("--deep-every", type=int, default=50, metavar="N", help="use every Nth as well; 0: none")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for one mutant (default: {SECONDS})")
    parser.add_argument("--plant", choices=plants.PLANTS, default="", help="a weak reader, to see that it is found")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the mutants that failed there")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options, started = parse(arguments), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        counts, failures = fuzz(originals.make(Path(folder)), Path(folder), options)
    report(counts, failures)
    print(f"\n{time.monotonic() - started:.0f} s")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
