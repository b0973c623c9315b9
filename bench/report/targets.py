"""The targets of speed, and how each is judged by the documents that the benchmarks write."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Result = dict[str, Any]
Documents = Mapping[str, Result]
OURS, ALONE = "ppo_np", "environment alone"
CLEANRL, SB3, SBX, REJAX = "CleanRL-style loop", "Stable-Baselines3", "sbx", "rejax"
TORCH, JAX = "torch, eager", "jax.jit, one thread"
ENVPOOL = "ppo_np, EnvPool"
RANKS = "ppo_np, 2 ranks"
QUARTILES, RANGE = ("median", "q1", "q3"), ("median", "min", "max")
TO_SOLVE = "seconds to solve LunarLander-v3"
MINIBATCH = "time of one minibatch, {}'s / ours"


class UnknownError(Exception):
    """Why a figure is not known."""


class Figure(NamedTuple):
    """A median, two ends of its spread, and whether all was done that it is about; if not, the target is missed."""

    middle: float
    low: float
    high: float
    whole: bool = True


@dataclass(frozen=True)
class Target:
    """Something to reach.

    Attributes:
        key: names it in reasons.toml; it begins with the row of end_to_end or minibatch, or with the benchmark.
        text: what is compared.
        limit: at least this, or `at_most`.
        figure: finds the figure in the documents. It raises UnknownError.
    """

    key: str
    text: str
    limit: float
    figure: Callable[[Documents], Figure]
    at_most: bool = False

    @property
    def row(self) -> str:
        """The row or the benchmark."""
        return self.key.partition("-")[0]


def judge(target: Target, documents: Documents) -> Result:
    """The figure with its spread and whether the target is met; "why" if that is not known."""
    try:
        figure, low, high, whole = target.figure(documents)
    except UnknownError as error:
        return {"why": str(error)}
    good = figure <= target.limit if target.at_most else figure >= target.limit
    return {"figure": figure, "low": low, "high": high, "met": good and whole}


def figure_of(found: Result, names: tuple[str, str, str], whole: bool = True) -> Figure:
    """The numbers with these names; None, which is never reached, stands for infinity."""
    return Figure(*(math.inf if found[name] is None else found[name] for name in names), whole)


def known(found: list[Result]) -> Result:
    """The only result, if it is one."""
    if not found:
        raise UnknownError("not measured")
    if "skipped" in found[0]:
        raise UnknownError(found[0]["skipped"])
    return found[0]


def inside(documents: Documents, *keys: str) -> Result:
    """What lies in the documents under these keys, one inside the other."""
    found = documents
    for key in keys:
        found = found.get(key, {})
    return known([found] if found else [])


def of_list(documents: Documents, benchmark: str, key: str, value: str) -> Result:
    """The result of a benchmark whose `key` has this value."""
    return known([one for one in documents.get(benchmark, {}).get("results", ()) if one[key] == value])


def result_of(documents: Documents, row: str, name: str) -> Result:
    """What a contestant reached in a row of end_to_end or of minibatch."""
    rows = {key: value for document in documents.values() for key, value in document.get("rows", {}).items()}
    return known([result for result in rows.get(row, {}).get("results", ()) if result["contestant"] == name])


def faster(row: str, peer: str, limit: float, text: str = "steps/s, ours / {}'s", ours: str = OURS) -> Target:
    """Ours must be so many times as fast."""

    def figure(documents: Documents) -> Figure:
        result_of(documents, row, ours)
        result = result_of(documents, row, peer)
        if "ratio" not in result:
            raise UnknownError("no slice lies between two of ours")
        return figure_of(result["ratio"], QUARTILES)

    return Target(f"{row}-{peer.split()[0].rstrip(',')}", text.format(peer), limit, figure)


def on_two_ranks(limit: float) -> Target:
    """Two ranks must do so many times the steps of one rank with one thread."""
    text = "steps/s of row b's work, 2 ranks / one rank with one thread, update for update"
    return Target(
        "ranks-2", text, limit, lambda documents: figure_of(inside(documents, "ranks", "here", "2")["ratio"], QUARTILES)
    )


def smaller(row: str, peer: str, limit: float) -> Target:
    """Ours must need so small a share of the memory."""

    def figure(documents: Documents) -> Figure:
        ours, theirs = (result_of(documents, row, name)["peak_memory_mb"] for name in (OURS, peer))
        return Figure(*[ours / theirs] * 3)

    return Target(f"{row}-memory", f"peak memory, ours / {peer}'s", limit, figure, at_most=True)


def absolute(row: str, limit: float, ours: str = OURS) -> Target:
    """Ours must do so many steps a second."""
    return Target(
        f"{row}-absolute", "steps/s", limit, lambda documents: figure_of(result_of(documents, row, ours), RANGE)
    )


def share_of_limit(limit: float) -> Target:
    """The article's run must come so near to what the machine allows."""
    text = "speed, ours / the limit: bare BLAS, bare environment, bare memory"
    return Target(
        "c-limit",
        text,
        limit,
        lambda documents: figure_of(inside(documents, "limit", "limits", "c")["share"], QUARTILES),
    )


def start(what: str, text: str, limit: float) -> Target:
    """So long may something take at the start, and nothing may be imported that is not needed yet."""

    def figure(documents: Documents) -> Figure:
        found = of_list(documents, "start", "what", what)
        return figure_of(found, RANGE, not found.get("too_early"))

    return Target(f"start-{what}", text, limit, figure, at_most=True)


def solved(contestant: str, key: str, limit: float) -> Target:
    """So long may it take to solve the environment, and every seed must."""

    def figure(documents: Documents) -> Figure:
        found = of_list(documents, "solve", "contestant", contestant)
        return figure_of(found, RANGE, found["solved"] == found["seeds"])

    return Target(f"solve-{key}", f"{contestant}: {TO_SOLVE}, all seeds", limit, figure, at_most=True)


def sooner(contestant: str, other: str, limit: float) -> Target:
    """So small a share of another contestant's time may it take to solve the environment, in the medians of all seeds.

    The spread is from the quickest over the other's slowest seed to the reverse.
    """

    def figure(documents: Documents) -> Figure:
        ours, theirs = (of_list(documents, "solve", "contestant", name) for name in (contestant, other))
        if any(one["solved"] < one["seeds"] for one in (ours, theirs)):
            raise UnknownError("a seed did not solve it")
        return Figure(ours["median"] / theirs["median"], ours["min"] / theirs["max"], ours["max"] / theirs["min"])

    return Target("solve-ranks", f"{TO_SOLVE}, {contestant} / {other}", limit, figure, at_most=True)


TARGETS = (
    faster("a", CLEANRL, 5),
    faster("a", SB3, 6),
    faster("a", SBX, 6),
    faster("a", ALONE, 0.90),
    faster("b", ALONE, 0.93),
    faster("c", CLEANRL, 2),
    smaller("c", CLEANRL, 0.60),
    share_of_limit(0.85),
    faster("d", REJAX, 1.5),
    absolute("e", 55_000),
    faster("e", ALONE, 0.6),
    faster("small", TORCH, 12, MINIBATCH),
    faster("small", JAX, 2, MINIBATCH),
    faster("article", TORCH, 2, MINIBATCH),
    start("warm", "seconds from the start of `python -m ppo_np.train` to its first update, kernels cached", 2.5),
    start("cold", "the same with an empty cache", 25),
    start("import", "seconds of `import ppo_np`, without any environment library", 0.8),
    solved(OURS, "sync", 40),
    solved(ENVPOOL, "envpool", 20),
    faster("f", CLEANRL, 5, ours=RANKS),
    faster("f", SB3, 6, ours=RANKS),
    faster("f", SBX, 6, ours=RANKS),
    faster("f", ALONE, 0.90, ours=RANKS),
    faster("g", ALONE, 0.93, ours=RANKS),
    faster("h", CLEANRL, 2, ours=RANKS),
    faster("i", REJAX, 1.5, ours=RANKS),
    absolute("j", 55_000, RANKS),
    faster("j", ALONE, 0.6, ours=RANKS),
    on_two_ranks(1.8),
    sooner(RANKS, OURS, 0.6),
)
