"""Kinds of targets of speed, and how each is judged by the documents that the benchmarks write."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

Result = dict[str, Any]
Documents = Mapping[str, Result]
OURS, RANKS, ENVPOOL = "ppo_np", "ppo_np, 2 ranks", "ppo_np, EnvPool"
ONE, TWO, RLTOOLS = "ppo_np, 1 thread", "ppo_np, 2 threads", "RLtools, MKL"
SEEDS = 5  # of RLtools' work
FASTER = "steps/s, ours / {}'s"
TO_SOLVE = "seconds to solve LunarLander-v3"


class UnknownError(Exception):
    """Why a figure is not known."""


@dataclass(frozen=True)
class Target:
    """Something to reach.

    Attributes:
        key: names it in reasons.toml; it begins with the row of end_to_end or minibatch, or with the benchmark.
        text: what is compared.
        limit: at least this, or `at_most`.
        find: gives of the documents the figure and its spread: three numbers, None for infinity, and perhaps whether
            all was done that the figure is about; if not, the target is missed. It raises UnknownError.
        ways: targets of which the one with the largest figure counts, if there are any.
    """

    key: str
    text: str
    limit: float
    find: Callable[[Documents], tuple]
    at_most: bool = False
    ways: tuple["Target", ...] = ()

    @property
    def row(self) -> str:
        """The row or the benchmark."""
        return self.key.partition("-")[0]


def judge(target: Target, documents: Documents) -> Result:
    """The figure with its spread, whether the target is met, and the row that was measured; "why" if it is unknown."""
    if target.ways:
        return judge_ways(target.ways, documents)
    try:
        *numbers, whole = (*target.find(documents), True)[:4]
    except UnknownError as error:
        return {"why": str(error)}
    figure, low, high = (math.inf if number is None else number for number in numbers)
    good = figure <= target.limit if target.at_most else figure >= target.limit
    return {"figure": figure, "low": low, "high": high, "met": good and whole, "row": target.row}


def judge_ways(ways: Sequence[Target], documents: Documents) -> Result:
    """The judgement of the best way; "why" if one that is not known could be better and none meets its target."""
    found = [judge(way, documents) for way in ways]
    measured = [one for one in found if "why" not in one]
    unknown = [(way.row, one["why"]) for way, one in zip(ways, found, strict=True) if "why" in one]
    if unknown and not any(one["met"] for one in measured):
        row, why = unknown[0]
        return {"why": f"row {row}: {why}" if measured else why}
    return max(measured, key=lambda one: one["figure"])


def known(found: list[Result]) -> Result:
    """The only result, if it is one."""
    if not found or "skipped" in found[0]:
        raise UnknownError(found[0]["skipped"] if found else "not measured")
    return found[0]


def of_list(documents: Documents, benchmark: str, key: str, value: str) -> Result:
    """The result of a benchmark whose `key` has this value."""
    return known([one for one in documents.get(benchmark, {}).get("results", ()) if one[key] == value])


def result_of(documents: Documents, row: str, name: str) -> Result:
    """What a contestant reached in a row of end_to_end or of minibatch."""
    rows = {key: value for document in documents.values() for key, value in document.get("rows", {}).items()}
    return known([result for result in rows.get(row, {}).get("results", ()) if result["contestant"] == name])


def spread_of(found: Result) -> tuple:
    """A median with its quartiles, or with the least and the most."""
    low, high = ("q1", "q3") if "q1" in found else ("min", "max")
    return found["median"], found[low], found[high]


def faster(row: str, peer: str, limit: float, text: str = FASTER, ours: str = OURS) -> Target:
    """Ours must be so many times as fast."""

    def find(documents: Documents) -> tuple:
        result_of(documents, row, ours)
        return spread_of(result_of(documents, row, peer)["ratio"])

    return Target(f"{row}-{peer.split()[0].rstrip(',')}", text.format(peer), limit, find)


def smaller(row: str, peer: str, limit: float) -> Target:
    """Ours must need so small a share of the memory."""

    def find(documents: Documents) -> tuple:
        ours, theirs = (result_of(documents, row, name)["peak_memory_mb"] for name in (OURS, peer))
        return (ours / theirs,) * 3

    return Target(f"{row}-memory", f"peak memory, ours / {peer}'s", limit, find, at_most=True)


def absolute(row: str, limit: float, ours: str = OURS) -> Target:
    """Ours must do so many steps a second."""
    return Target(f"{row}-absolute", "steps/s", limit, lambda found: spread_of(result_of(found, row, ours)))


def ratio_at(key: str, text: str, limit: float, *path: str) -> Target:
    """A ratio that lies in the documents at this path must be as large as that."""

    def find(documents: Documents) -> tuple:
        found = reduce(lambda inside, name: inside.get(name, {}), path, documents)
        return spread_of(known([found] if found else []))

    return Target(key, text, limit, find)


def start(what: str, text: str, limit: float) -> Target:
    """So long may something take at the start, and nothing may be imported that is not needed yet."""

    def find(documents: Documents) -> tuple:
        found = of_list(documents, "start", "what", what)
        return *spread_of(found), not found.get("too_early")

    return Target(f"start-{what}", text, limit, find, at_most=True)


def solved(contestant: str, key: str, limit: float) -> Target:
    """So long may it take to solve the environment, and every seed must."""

    def find(documents: Documents) -> tuple:
        found = of_list(documents, "solve", "contestant", contestant)
        return *spread_of(found), found["solved"] == found["seeds"]

    return Target(f"solve-{key}", f"{contestant}: {TO_SOLVE}, all seeds", limit, find, at_most=True)


def sooner(contestant: str, other: str, limit: float) -> Target:
    """So small a share of another contestant's time may it take to solve the environment, in the medians of all seeds.

    The spread is from the quickest over the other's slowest seed to the reverse.
    """

    def find(documents: Documents) -> tuple:
        ours, theirs = (of_list(documents, "solve", "contestant", name) for name in (contestant, other))
        if any(one["solved"] < one["seeds"] for one in (ours, theirs)):
            raise UnknownError("a seed did not solve it")
        return ours["median"] / theirs["median"], ours["min"] / theirs["max"], ours["max"] / theirs["min"]

    return Target("solve-ranks", f"{TO_SOLVE}, {contestant} / {other}", limit, find, at_most=True)


def enough(found: Result, seeds: int) -> Result:
    """The result, if it is of so many seeds."""
    if found["seeds"] < seeds:
        raise UnknownError(f"measured with {found['seeds']} of {seeds} seeds")
    return found


def trained(contestant: str, key: str, limit: float) -> Target:
    """So small a share of RLtools' training time may Pendulum take, at the same or a better greedy return.

    The spread is from the least to the most of all seeds; the returns are the medians.
    """

    def find(documents: Documents) -> tuple:
        names = contestant, f"{RLTOOLS}, 1 thread"
        ours, theirs = (enough(of_list(documents, "pendulum", "contestant", name), SEEDS) for name in names)
        as_good = ours["mean_return"]["median"] >= theirs["mean_return"]["median"]
        return *spread_of(known([ours["ratio"]] if "ratio" in ours else [])), as_good

    text = f"seconds of training on Pendulum, {contestant} / {RLTOOLS}, 1 thread, at the same or a better greedy return"
    return Target(f"k-{key}", text, limit, find, at_most=True)


def preset(name: str, seeds: int, limit: float, worst: bool = False) -> Target:
    """So long may a preset take to solve its environment, in the median or the worst of all seeds; each seed must."""

    def find(documents: Documents) -> tuple:
        found = enough(of_list(documents, "presets", "preset", name), seeds)
        numbers = (found["max"],) * 3 if worst else spread_of(found)
        return *numbers, found["solved"] == found["seeds"]

    which = "worst" if worst else "median"
    text = f"{name}: seconds from the start of the process to a good greedy policy, {which} of {seeds} fresh seeds"
    return Target(f"presets-{name}{'-worst' if worst else ''}", text, limit, find, at_most=True)


def alone(env_id: str, limit: float) -> Target:
    """A compiled environment must do so many steps a second."""

    def find(documents: Documents) -> tuple:
        return spread_of(of_list(documents, "compiled", "env_id", env_id)["kernel"])

    return Target(f"compiled-{env_id}", f"steps/s of {env_id} without learning, 64 environments, 1 thread", limit, find)


def either(text: str, *ways: Target) -> Target:
    """The better of several ways counts. It is missed only if all are measured."""
    first = ways[0]
    return Target(first.key, text, first.limit, first.find, ways=ways)
