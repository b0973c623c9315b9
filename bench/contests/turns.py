"""Contestants that take turns in slices of about a second, so that noise of the machine meets all of them alike.

All are alive together; one works while the others wait, blocked. Ours goes between any two others: a ratio is that of a
slice with ours just before and after it.
"""

import json
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Any

from bench.contests.contest import Contestant, Result, last_line

TRIALS = 5
REST = 0.1  # seconds between slices: so long threads of BLAS may look for work before they sleep


@dataclass(frozen=True)
class Pace:
    """How contestants take turns: rounds, seconds of a slice, and seconds that any answer may take."""

    rounds: int = 15
    seconds: float = 0.7
    timeout: float = 300


class Seat:
    """A contestant's process, which works when it is told to; used as a context, it ends with it.

    Attributes:
        contestant, threads: whose it is.
        why: a sentence, once it has left the contest.
        updates, untimed: of one slice, and before it.
        slices: what it has told of each slice since `slices` was emptied.
    """

    def __init__(self, contestant: Contestant, job: Any, pace: Pace):
        self.contestant, self.threads, self.pace = contestant, job.threads, pace
        self.why, self.updates, self.untimed, self.slices = None, 1, 0, []
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by __exit__
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self._process = subprocess.Popen(**contestant.command(job), **pipes)
        self.introduction = self._read()

    def __enter__(self) -> "Seat":
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(BrokenPipeError):  # it has died with a word unread
            self._process.stdin.close()
        try:
            self._process.wait(0 if self.why else 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def go(self, updates: int) -> Result:
        """Let it work for so many updates, untimed ones before; what it told, empty if it has left the contest."""
        if self.why:
            return {}
        time.sleep(REST)
        with suppress(BrokenPipeError):  # it has died: reading tells why
            print(updates, self.untimed, file=self._process.stdin, flush=True)
        return self._read()

    def turn(self) -> Result:
        """A slice, which is kept in `slices` with its rate, in steps a second."""
        told = self.go(self.updates)
        if told:
            told["rate"] = told["steps"] / told["seconds"]
            self.slices.append(told)
        return told

    def warm_up(self) -> None:
        """Let it set up and compile; then find out how many updates fill a slice."""
        self.go(1)
        while told := self.go(self.updates):
            updates = self.updates * self.pace.seconds / told["seconds"]
            if told["seconds"] > self.pace.seconds / 4:
                self.updates = max(1, round(updates))
                return
            self.updates = min(self.updates * 10, max(1, round(updates)))

    def rate(self) -> float:
        """Median steps a second of its slices; 0 if it has left the contest."""
        return median(told["rate"] for told in self.slices) if self.slices and not self.why else 0.0

    def _read(self) -> Result:
        ready, _, _ = select.select([self._process.stdout], [], [], self.pace.timeout)
        line = self._process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        if ready:
            self._errors.seek(0)
            self.why = f"{self.contestant.name} failed: {last_line(self._errors.read())}"
        else:
            self.why = f"{self.contestant.name} took longer than {self.pace.timeout:g} s"
        return {}


def compete(contestants: Sequence[Contestant], job: Any, pace: Pace) -> list[Result]:
    """Find each contestant's best number of threads, then let them take turns; the first one is ours.

    The job is the same for all but for the number of threads.

    Returns:
        One for each contestant: its name, threads, trials (threads -> median rate), rates and their median, least and
        most; for the others "ratio", how many times as fast ours is. Or "skipped", a sentence.
    """
    with ExitStack() as stack:
        tried = [
            [stack.enter_context(Seat(one, replace(job, threads=threads), pace)) for threads in one.threads]
            for one in contestants
        ]
        every = [seat for seats in tried for seat in seats]
        for seat in every:
            seat.warm_up()
        for _ in range(TRIALS):
            for seat in every:
                seat.turn()
        trials = [{seat.threads: round(seat.rate()) for seat in seats} for seats in tried]
        chosen = [max(seats, key=Seat.rate) for seats in tried]
        for seat in every:
            if seat not in chosen:
                seat.__exit__()
        print(", ".join(f"{seat.contestant.name}: {seat.why or f'threads {seat.threads}'}" for seat in chosen))
        turns = take_turns(chosen, pace.rounds)
        return [
            {"contestant": seat.contestant.name, "trials": of_threads} | summary(seat, chosen[0], turns)
            for seat, of_threads in zip(chosen, trials, strict=True)
        ]


def take_turns(seats: Sequence[Seat], rounds: int) -> list[tuple[Seat, Result]]:
    """Round after round: ours, another, ours, another, ..., and ours at the end; who did what."""
    ours, *others = seats
    order = [seat for other in others for seat in (ours, other)] * rounds + [ours] if others else [ours] * rounds
    for seat in seats:
        seat.slices = []
    turns = [(seat, seat.turn()) for seat in order]
    return [(seat, told) for seat, told in turns if told]


def ratios(turns: Sequence[tuple[Seat, Result]], ours: Seat, other: Seat) -> list[float]:
    """Speed of ours in its slices just before and just after each of the other's, over the other's."""
    found = []
    for before, (seat, told), after in zip(turns, turns[1:], turns[2:], strict=False):
        if seat is other and before[0] is after[0] is ours:
            steps, seconds = (before[1][key] + after[1][key] for key in ("steps", "seconds"))
            found.append(steps / seconds / told["rate"])
    return found


def summary(seat: Seat, ours: Seat, turns: Sequence[tuple[Seat, Result]]) -> Result:
    """The figures of one seat; see `compete`."""
    if seat.why:
        return {"threads": None, "skipped": seat.why}
    rates, pairs = [told["rate"] for told in seat.slices], [] if seat is ours else ratios(turns, ours, seat)
    result = {"threads": seat.threads, "rates": [float(f"{value:.5g}") for value in rates]}
    result |= spread(rates, "min", "max") | {"peak_memory_mb": seat.slices[-1]["peak_memory_mb"]}
    return result | seat.introduction | ({"ratio": spread(pairs)} if pairs else {})


def spread(values: Sequence[float], low: str = "q1", high: str = "q3") -> dict[str, float]:
    """The median with the quartiles ("q1", "q3") or with least and most, five digits each."""
    ends = quantiles(values, n=4, method="inclusive") if low == "q1" and len(values) > 1 else sorted(values)
    found = {low: ends[0], "median": median(values), high: ends[-1]}
    return {name: float(f"{value:.5g}") for name, value in found.items()}
