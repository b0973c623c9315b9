"""The targets of speed, and how each is judged by the documents that the benchmarks write."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Result = dict[str, Any]
Documents = Mapping[str, Result]
OURS, ALONE = "ppo_np", "environment alone"
CLEANRL, SB3, SBX, REJAX = "CleanRL-style loop", "Stable-Baselines3", "sbx", "rejax"
TORCH, JAX = "torch, eager", "jax.jit, one thread"
ENVPOOL = "ppo_np, EnvPool"
RANKS = "ppo_np, 2 ranks"


class UnknownError(Exception):
    """Why a figure is not known."""


@dataclass(frozen=True)
class Target:
    """Something to reach.

    Attributes:
        key: names it in reasons.toml; it begins with the row of end_to_end or minibatch, or with the benchmark.
        text: what is compared.
        limit: at least this, or `at_most`.
        figure: finds the figure in the documents: median, and two ends of its spread. It raises UnknownError.
        whole: finds out whether all was done that the figure is about; if not, the target is missed.
    """

    key: str
    text: str
    limit: float
    figure: Callable[[Documents], tuple[float, float, float]]
    at_most: bool = False
    whole: Callable[[Documents], bool] = lambda _documents: True

    @property
    def row(self) -> str:
        """The row or the benchmark."""
        return self.key.partition("-")[0]


def judge(target: Target, documents: Documents) -> Result:
    """The figure with its spread and whether the target is met; "why" if that is not known."""
    try:
        figure, low, high = target.figure(documents)
    except UnknownError as error:
        return {"why": str(error)}
    good = figure <= target.limit if target.at_most else figure >= target.limit
    return {"figure": figure, "low": low, "high": high, "met": good and target.whole(documents)}


def result_of(documents: Documents, row: str, name: str) -> Result:
    """What a contestant reached in a row of end_to_end or of minibatch."""
    rows = {key: value for document in documents.values() for key, value in document.get("rows", {}).items()}
    found = [result for result in rows.get(row, {}).get("results", ()) if result["contestant"] == name]
    return known(found)


def with_quartiles(found: Result) -> tuple[float, float, float]:
    """The median and the quartiles."""
    return found["median"], found["q1"], found["q3"]


def known(found: list[Result]) -> Result:
    """The only result, if it is one."""
    if not found:
        raise UnknownError("not measured")
    if "skipped" in found[0]:
        raise UnknownError(found[0]["skipped"])
    return found[0]


def faster(row: str, peer: str, limit: float, text: str = "steps/s, ours / {}'s", ours: str = OURS) -> Target:
    """Ours must be so many times as fast."""

    def figure(documents: Documents) -> tuple[float, float, float]:
        result_of(documents, row, ours)
        result = result_of(documents, row, peer)
        if "ratio" not in result:
            raise UnknownError("no slice lies between two of ours")
        return with_quartiles(result["ratio"])

    return Target(f"{row}-{peer.split()[0].rstrip(',')}", text.format(peer), limit, figure)


def on_two_ranks(limit: float) -> Target:
    """Two ranks must do so many times the steps of one rank with one thread."""

    def figure(documents: Documents) -> tuple[float, float, float]:
        found = documents.get("ranks", {}).get("here", {}).get("2")
        if not found:
            raise UnknownError("not measured")
        return with_quartiles(found["ratio"])

    text = "steps/s of row b's work, 2 ranks / one rank with one thread, update for update"
    return Target("ranks-2", text, limit, figure)


def smaller(row: str, peer: str, limit: float) -> Target:
    """Ours must need so small a share of the memory."""

    def figure(documents: Documents) -> tuple[float, float, float]:
        ours, theirs = (result_of(documents, row, name)["peak_memory_mb"] for name in (OURS, peer))
        return (ours / theirs,) * 3

    return Target(f"{row}-memory", f"peak memory, ours / {peer}'s", limit, figure, at_most=True)


def absolute(row: str, limit: float, ours: str = OURS) -> Target:
    """Ours must do so many steps a second."""

    def figure(documents: Documents) -> tuple[float, float, float]:
        result = result_of(documents, row, ours)
        return tuple(result[name] for name in ("median", "min", "max"))

    return Target(f"{row}-absolute", "steps/s", limit, figure)


def share_of_limit(limit: float) -> Target:
    """The article's run must come so near to what the machine allows."""

    def figure(documents: Documents) -> tuple[float, float, float]:
        found = documents.get("limit", {}).get("limits", {}).get("c")
        if not found:
            raise UnknownError("not measured")
        return with_quartiles(found["share"])

    return Target("c-limit", "speed, ours / the limit: bare BLAS, bare environment, bare memory", limit, figure)


def start(what: str, text: str, limit: float) -> Target:
    """So long may something take at the start."""

    def figure(documents: Documents) -> tuple[float, float, float]:
        found = [one for one in documents.get("start", {}).get("results", ()) if one["what"] == what]
        return tuple(known(found)[name] for name in ("median", "min", "max"))

    def whole(documents: Documents) -> bool:
        return not any(one.get("too_early") for one in documents["start"]["results"] if one["what"] == what)

    return Target(f"start-{what}", text, limit, figure, at_most=True, whole=whole)


def solved(contestant: str, key: str, limit: float) -> Target:
    """So long may it take to solve the environment, and every seed must."""

    def race(documents: Documents) -> Result:
        found = documents.get("solve", {}).get("results", ())
        return known([one for one in found if one["contestant"] == contestant])

    def figure(documents: Documents) -> tuple[float, float, float]:
        result = race(documents)
        return tuple(math.inf if result[name] is None else result[name] for name in ("median", "min", "max"))

    def whole(documents: Documents) -> bool:
        return race(documents)["solved"] == race(documents)["seeds"]

    text = f"{contestant}: seconds to solve LunarLander-v3, all seeds"
    return Target(f"solve-{key}", text, limit, figure, at_most=True, whole=whole)


def sooner(contestant: str, other: str, limit: float) -> Target:
    """So small a share of another contestant's time may it take to solve the environment, in the medians of all seeds.

    The spread is from the quickest over the other's slowest seed to the reverse.
    """

    def figure(documents: Documents) -> tuple[float, float, float]:
        found = documents.get("solve", {}).get("results", ())
        ours, theirs = (known([one for one in found if one["contestant"] == name]) for name in (contestant, other))
        if any(one["solved"] < one["seeds"] for one in (ours, theirs)):
            raise UnknownError("a seed did not solve it")
        return ours["median"] / theirs["median"], ours["min"] / theirs["max"], ours["max"] / theirs["min"]

    return Target(
        "solve-ranks", f"seconds to solve LunarLander-v3, {contestant} / {other}", limit, figure, at_most=True
    )


MINIBATCH = "time of one minibatch, {}'s / ours"
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
