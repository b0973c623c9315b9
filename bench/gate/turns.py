"""Ours and NumPy take turns: the ratio of their times, on a machine that does other things as well.

A turn is as many calls as fill about half a millisecond; all cases take a turn, ours and NumPy's one directly after the
other, before any takes its next. What disturbs the machine for a while thus disturbs both sides and all cases; and
of many turns the quickest is one that nothing disturbed. The ratio is that of the quickest turns: over eight runs,
most of them beside other work, it moved less than the medians of the turns and of their ratios.

How quick a kernel is depends on where its arrays happen to lie. So there are several copies of them, in turn.
"""

import copy
from collections.abc import Callable, Iterable
from time import perf_counter

from bench.gate.cases import case_of
from bench.gate.slow_downs import planted

PLACES = 4
TURN_SECONDS = 5e-4


class Side:
    """One of the two: the function, copies of its arguments, calls a turn, and the least seconds a call."""

    def __init__(self, function: Callable, places: list[tuple]):
        self.function, self.places, self.calls, self.least = function, places, 3, float("inf")
        for place in range(PLACES):  # compiles, and warms up
            self.turn(place)
        self.calls, self.least = max(1, int(TURN_SECONDS / self.least)), float("inf")

    def turn(self, place: int) -> None:
        """Call it a turn's times."""
        arguments = self.places[place]
        start = perf_counter()
        for _ in range(self.calls):
            self.function(*arguments)
        self.least = min(self.least, (perf_counter() - start) / self.calls)


class Turns:
    """Cases with both sides, ready to take turns; `plant` is the name of a slow-down to plant."""

    def __init__(self, names: Iterable[str], plant: str | None = None):
        self.sides = {}
        for name in names:
            cases = [planted(case_of(name), plant) for _ in range(PLACES)]
            ours, numpys = (copy.deepcopy([case.arguments for case in cases]) for _ in range(2))
            self.sides[name] = Side(cases[0].ours, ours), Side(cases[0].numpy_version, numpys)

    def take(self, turns: int, names: Iterable[str] | None = None) -> None:
        """Let each case, or those named, take so many turns."""
        for turn in range(turns):
            for name in self.sides if names is None else names:
                for side in self.sides[name]:
                    side.turn(turn % PLACES)

    def ratios(self) -> dict[str, float]:
        """Our time by NumPy's, by case: less is better."""
        return {name: ours.least / numpys.least for name, (ours, numpys) in self.sides.items()}
