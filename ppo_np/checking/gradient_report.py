"""The result of a gradient check, and hints from the ratio analytic / numeric of a wrong gradient."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

TOLERANCE = 1e-7
SAME = 1e-5  # relative tolerance for "the same factor everywhere"
Probe = tuple[int | None, float, float]  # flat index or None for a random direction, analytic, numeric derivative


@dataclass(frozen=True)
class Check:
    """Comparison of the analytic and the numeric gradient of one tensor.

    Attributes:
        name, shape: of the tensor.
        norm: Euclidean norm of the whole analytic gradient.
        probes: number of coordinates and directions compared.
        worst: where the two differ most: a coordinate, or the number of a random direction.
        analytic, numeric: the derivatives there.
        relative_error: |a - n| / (|a| + |n|), norms over all probes; 0 if both are 0.
        verdict: "ok" or "WRONG".
        hint: the mistake, or what the error follows from, or else what the ratio a / n speaks for; empty for a right
            gradient, unless it is all zero.
    """

    name: str
    shape: tuple[int, ...]
    norm: float
    probes: int
    worst: str
    analytic: float
    numeric: float
    relative_error: float
    verdict: str
    hint: str


@dataclass(frozen=True)
class Turn:
    """A place at which the backward pass turns wrong.

    Attributes:
        right: the rows or layers that hand their gradient on to it, which are right; "loss" for the first rows.
        wrong: the wrong row, or the layer of which both tensors are wrong.
    """

    right: list[str]
    wrong: str


@dataclass(frozen=True)
class Report:
    """The result of a gradient check.

    Attributes:
        checks: in the order of the backward pass: the loss terms, then the tensors from the heads to the first layer.
        surrogate_regions, value_branches: name -> number of rows of the minibatch in this region or branch.
        rows, parameters: B and P.
        floor: allowed absolute error, in addition to the relative `TOLERANCE`.
        kinks: probes that were discarded because a kink lay within their step.
        points: points drawn until one had no kink nearby.
        turns: where the backward pass turns wrong: the mistakes are between what is right and what is wrong there.
    """

    checks: list[Check]
    surrogate_regions: dict[str, int]
    value_branches: dict[str, int]
    rows: int
    parameters: int
    floor: float
    kinks: int
    points: int
    turns: list[Turn] = field(default_factory=list)

    @property
    def wrong(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.verdict != "ok"]


def judge(name: str, gradient: np.ndarray, probes: Sequence[Probe], floor: float, rows: int) -> Check:
    """Compare the derivatives of one tensor: right if |a - n| <= 1e-7 (|a| + |n|) + floor.

    `gradient` is the whole analytic gradient, `floor` the absolute error that rounding may cause. `rows` is B, the
    factor of a missing or doubled mean.
    """
    places = [place for place, _, _ in probes]
    a = np.array([analytic for _, analytic, _ in probes], float)
    n = np.array([numeric for _, _, numeric in probes], float)
    error, scale = np.linalg.norm(a - n), np.linalg.norm(a) + np.linalg.norm(n)
    right = bool(np.isfinite(error) and error <= TOLERANCE * scale + floor)
    worst = int(np.argmax(np.abs(a - n)))
    place = places[worst]
    if place is None:
        where = f"direction {places[: worst + 1].count(None)}"
    else:
        where = str([int(i) for i in np.unravel_index(place, gradient.shape)])
    hint = "" if right else ratio_hint(a, n, floor, rows)
    if right and scale <= floor:
        hint = "zero or below the floor: nothing was compared"
    return Check(
        name, gradient.shape, float(np.linalg.norm(gradient)), len(probes), where, float(a[worst]), float(n[worst]),
        float(error) / float(scale) if scale > 0 else 0.0, "ok" if right else "WRONG", hint,
    )  # fmt: skip


def ratio_hint(a: np.ndarray, n: np.ndarray, floor: float, rows: int) -> str:
    """What the ratio of the analytic derivatives `a` to the numeric ones `n`, (probes,) each, speaks for.

    A single wrong number has no ratio that says anything: then the two numbers are given instead.
    """
    if not np.isfinite(a).all():
        return "not a finite number"
    if np.linalg.norm(n) <= floor:
        return "must be zero: the loss is flat here"
    different = np.flatnonzero(np.abs(a - n) > SAME * (np.abs(a) + np.abs(n)) + floor)
    if len(different) == 1:
        only = int(different[0])
        which = f"only 1 of {a.size} differs: " if a.size > 1 else ""
        return f"{which}{a[only] + 0.0:.5g} instead of {n[only]:.5g}"
    if np.linalg.norm(a) <= floor:
        return "ratio 0: a term is missing"
    ratio = (a @ n) / (n @ n)
    if np.linalg.norm(a - ratio * n) > SAME * np.linalg.norm(a):
        zero = "not 0 where it must be" if abs(n[np.argmax(np.abs(a - n))]) <= floor else "no common factor"
        return f"{zero}; {len(different)} of {a.size} differ"
    meanings = {
        -1.0: "ratio -1: the sign is wrong",
        float(rows): f"ratio {rows} = B: a sum instead of a mean",
        1 / rows: f"ratio 1/{rows} = 1/B: a mean instead of a sum",
        2.0: "ratio 2: a square without its factor 1/2",
        0.5: "ratio 1/2: a factor 1/2 too many",
    }
    known = [meaning for value, meaning in meanings.items() if abs(ratio - value) <= SAME * abs(value)]
    return known[0] if known else f"ratio {ratio:.5g}"
