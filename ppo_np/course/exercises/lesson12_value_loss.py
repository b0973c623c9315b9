"""Grades lesson 12: the clipped value loss in all its branches, on the edges, and without clipping."""

from collections.abc import Mapping

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

BRANCHES = ("inside", "outside, slope V - R", "outside, flat: V nearer to R than Vc", "outside, flat: V beyond R")
E = 0.25
ARGUMENTS = ("values", "old_values", "returns", "clip_coef", "clip_vloss")


def _drawn(rng: np.random.Generator, rows: int, clip_coef: float, clip_vloss: bool) -> Point:
    """Rows in all branches, in random order, away from the kinks."""
    row = rng.permutation(rows)
    sign, branch = np.where(row % 2, -1.0, 1.0), row // 2 % 4
    u = rng.uniform(0.1, 0.9, (2, rows))
    change = clip_coef * np.where(branch == 0, u[0], 1.2 + u[0])
    beyond = change - clip_coef  # how far V is beyond Vc
    # R measured from V in the direction of the move: behind Vc; ahead of V; between Vc and V but nearer to V
    target = np.choose(branch, [u[1] - 0.5, -beyond - u[1], u[1], -beyond * 0.4 * u[1]])
    values = rng.standard_normal(rows)
    return Point(
        f"{rows} rows, clip_vloss {clip_vloss}", values=values, old_values=values - sign * change,
        returns=values + sign * target, clip_coef=clip_coef, clip_vloss=clip_vloss, dloss=rng.uniform(0.5, 2),
    )  # fmt: skip


def _points(rng: np.random.Generator) -> list[Point]:
    return [_drawn(rng, 16, 0.2, True), _drawn(rng, 11, 0.5, True), _drawn(rng, 9, 0.2, False)]


def _by_hand(expected: object) -> Point:
    return Point(
        "worked by hand", expected, values=np.array([1.0, 2.0]), old_values=np.array([0.0, 2.0]),
        returns=np.array([2.0, 1.5]), clip_coef=E, clip_vloss=True, dloss=1.0,
    )  # fmt: skip


def _edges() -> Point:
    """|V - V_old| = e exactly; both errors equal."""
    return Point(
        "on the edges", np.array([-0.25, 0.09375]), values=np.array([0.25, 0.75]), old_values=np.array([0.0, 0.125]),
        returns=np.array([0.75, 0.5625]), clip_coef=E, clip_vloss=True, dloss=1.0,
    )  # fmt: skip


def _forward_points(rng: np.random.Generator) -> list[Point]:
    return [_by_hand((1.75**2 + 0.5**2) / 4), *_points(rng)]


def _backward_points(rng: np.random.Generator) -> list[Point]:
    return [_by_hand(np.array([0.0, 0.25])), _edges(), *_points(rng)]


def _value_loss_backward(mine: Functions, point: Point) -> np.ndarray:
    def loss(values: np.ndarray) -> float:
        rest = point.old_values, point.returns, point.clip_coef, point.clip_vloss
        return point.dloss * mine.value_loss(values, *rest)

    return gradient(loss, point.values)[0]


def _groups(point: Point) -> Mapping[str, np.ndarray]:
    change, error = point.values - point.old_values, point.values - point.returns
    outside = abs(change) > point.clip_coef
    clipped = point.old_values + np.clip(change, -point.clip_coef, point.clip_coef)
    flat = outside & (abs(clipped - point.returns) > abs(error))
    passed = error * np.sign(change) > 0
    kinds = ~outside, outside & ~flat, flat & ~passed, flat & passed
    return dict(zip(BRANCHES, kinds, strict=True))


EXERCISES = [
    Exercise("value_loss", ARGUMENTS, ("loss",), _forward_points, groups=_groups),
    Exercise(
        "value_loss_backward", ("dloss", *ARGUMENTS), ("dvalues",), _backward_points, _value_loss_backward,
        rests_on=("value_loss",), groups=_groups,
    ),
]  # fmt: skip
