"""The targets of speed, and how each is judged by the documents that the benchmarks write."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

Result = dict[str, Any]
Documents = Mapping[str, Result]
OURS, RANKS, ENVPOOL, ALONE = "ppo_np", "ppo_np, 2 ranks", "ppo_np, EnvPool", "environment alone"
CLEANRL, SB3, SBX, REJAX = "CleanRL-style loop", "Stable-Baselines3", "sbx", "rejax"
TORCH, JAX = "torch, eager", "jax.jit, one thread"
FASTER, MINIBATCH = "steps/s, ours / {}'s", "time of one minibatch, {}'s / ours"
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
    """

    key: str
    text: str
    limit: float
    find: Callable[[Documents], tuple]
    at_most: bool = False

    @property
    def row(self) -> str:
        """The row or the benchmark."""
        return self.key.partition("-")[0]


def judge(target: Target, documents: Documents) -> Result:
    """The figure with its spread and whether the target is met; "why" if that is not known."""
    try:
        *numbers, whole = (*target.find(documents), True)[:4]
    except UnknownError as error:
        return {"why": str(error)}
    figure, low, high = (math.inf if number is None else number for number in numbers)
    good = figure <= target.limit if target.at_most else figure >= target.limit
    return {"figure": figure, "low": low, "high": high, "met": good and whole}


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


on_ranks = partial(faster, ours=RANKS)
TO_LIMIT = "speed, ours / the limit: bare BLAS, bare environment, bare memory"
OF_RANKS = "steps/s of row b's work, 2 ranks / one rank with one thread, update for update"
TARGETS = (
    *(faster("a", peer, limit) for peer, limit in {CLEANRL: 5, SB3: 6, SBX: 6, ALONE: 0.90}.items()),
    faster("b", ALONE, 0.93),
    faster("c", CLEANRL, 2),
    smaller("c", CLEANRL, 0.60),
    ratio_at("c-limit", TO_LIMIT, 0.85, "limit", "limits", "c", "share"),
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
    *(on_ranks("f", peer, limit) for peer, limit in {CLEANRL: 5, SB3: 6, SBX: 6, ALONE: 0.90}.items()),
    on_ranks("g", ALONE, 0.93),
    on_ranks("h", CLEANRL, 2),
    on_ranks("i", REJAX, 1.5),
    absolute("j", 55_000, RANKS),
    on_ranks("j", ALONE, 0.6),
    ratio_at("ranks-2", OF_RANKS, 1.8, "ranks", "here", "2", "ratio"),
    sooner(RANKS, OURS, 0.6),
)
