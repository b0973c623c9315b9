"""Grades lesson 11: the clipped policy loss in all six regions and on their edges."""

from collections.abc import Mapping

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

REGIONS = ("A>0, r<1-e", "A>0, inside", "A>0, r>1+e", "A<0, r<1-e", "A<0, inside", "A<0, r>1+e")
E = 0.25  # with this clip range the edges 0.75 and 1.25 are exact numbers


def _point(
    label: str, ratios: np.ndarray, advantages: np.ndarray, dloss: float, clip_coef: float, **more: object
) -> Point:
    old = -0.5 - np.arange(len(ratios)) / 8
    return Point(
        label, logprobs=old + np.log(ratios), old_logprobs=old, advantages=np.asarray(advantages, float), dloss=dloss,
        clip_coef=clip_coef, **more,
    )  # fmt: skip


def _drawn(rng: np.random.Generator, rows: int, clip_coef: float) -> Point:
    """Rows in all six regions, in random order, away from the edges."""
    row = rng.permutation(rows)
    sign, side = np.where(row % 2, -1, 1), row // 2 % 3
    u = rng.uniform(0.1, 0.9, rows)
    low, high = 1 - clip_coef, 1 + clip_coef
    ratios = np.choose(side, [low * u, low + (high - low) * u, high * (1 + u)])
    advantages = sign * rng.uniform(0.5, 2, rows)
    return _point(f"{rows} rows, clip_coef {clip_coef}", ratios, advantages, rng.uniform(0.5, 2), clip_coef)


def _points(rng: np.random.Generator) -> list[Point]:
    return [_drawn(rng, 12, 0.2), _drawn(rng, 7, 0.5)]


def _forward_points(rng: np.random.Generator) -> list[Point]:
    by_hand = _point("worked by hand", np.array([1.5, 0.5]), np.array([2.0, 2.0]), 1.0, E, expected=-1.75)
    return [by_hand, *_points(rng)]


def _backward_points(rng: np.random.Generator) -> list[Point]:
    flat = _point("worked by hand", np.array([1.5, 0.5]), np.array([2.0, 2.0]), 1.0, E, expected=np.array([0.0, -0.5]))
    edges = Point(
        "on the edges", logprobs=np.log([1.25, 0.75]), old_logprobs=np.zeros(2), advantages=np.array([2.0, -2.0]),
        dloss=1.0, clip_coef=E, expected=np.array([-1.25, 0.75]),
    )  # fmt: skip
    if np.exp(edges.logprobs[0]) > 1 + E or np.exp(edges.logprobs[1]) < 1 - E:  # this machine's exp rounds outwards
        edges = Point(**{**vars(edges), "clip_coef": E + 1e-12, "label": "just inside the edges"})
    return [flat, edges, *_points(rng)]


def _policy_loss_backward(mine: Functions, point: Point) -> np.ndarray:
    def loss(logprobs: np.ndarray) -> float:
        return point.dloss * mine.policy_loss(logprobs, point.old_logprobs, point.advantages, point.clip_coef)

    return gradient(loss, point.logprobs)[0]


def _groups(point: Point) -> Mapping[str, np.ndarray]:
    ratios = np.exp(point.logprobs - point.old_logprobs)
    side = np.digitize(ratios, [1 - point.clip_coef, 1 + point.clip_coef]) + 3 * (point.advantages < 0)
    return {name: side == number for number, name in enumerate(REGIONS)}


EXERCISES = [
    Exercise(
        "policy_loss", ("logprobs", "old_logprobs", "advantages", "clip_coef"), ("loss",), _forward_points,
        groups=_groups,
    ),
    Exercise(
        "policy_loss_backward", ("dloss", "logprobs", "old_logprobs", "advantages", "clip_coef"), ("dlogprobs",),
        _backward_points, _policy_loss_backward, rests_on=("policy_loss",), groups=_groups,
    ),
]  # fmt: skip
