"""Grades lesson 15: bits and several categorical choices, against differences of the learner's forward passes."""

import itertools
from typing import Any

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

UPSTREAM = ("dlogprobs", "dentropies")


def _bits(rng: np.random.Generator, rows: int, bits: int) -> Point:
    dlogprobs, dentropies = rng.standard_normal((2, rows))
    actions = rng.integers(2, size=(rows, bits))
    actions[0, 0] = 0
    logits = 1.5 * rng.standard_normal((rows, bits))
    return Point(
        f"{rows} rows, {bits} bits", logits=logits, actions=actions, dlogprobs=dlogprobs, dentropies=dentropies
    )


def _bit_points(rng: np.random.Generator) -> list[Point]:
    return [_bits(rng, 5, 3), _bits(rng, 4, 1), _bits(rng, 2, 4)]


def _bits_by_hand(expected: object) -> Point:
    """q = 3/4 and 1/2 in the first row, 1/2 and 1/4 in the second."""
    return Point(
        "worked by hand", expected, logits=np.log([[3.0, 1.0], [1.0, 1 / 3]]), actions=np.array([[1, 0], [1, 1]]),
        dlogprobs=np.array([1.0, -2.0]), dentropies=np.array([0.0, 1.0]),
    )  # fmt: skip


def _bit_forward_points(rng: np.random.Generator) -> list[Point]:
    quarter = np.log(4) - 0.75 * np.log(3)  # entropy of a bit with q = 1/4 or 3/4
    expected = np.log([3 / 8, 1 / 8]), np.full(2, quarter + np.log(2))
    return [_bits_by_hand(expected), *_bit_points(rng)]


def _bit_backward_points(rng: np.random.Generator) -> list[Point]:
    expected = np.array([[0.25, -0.5], [-1.0, -1.5 + np.log(3) * 3 / 16]])
    return [_bits_by_hand(expected), *_bit_points(rng)]


def _choices(rng: np.random.Generator, rows: int, sizes: tuple[int, ...]) -> Point:
    dlogprobs, dentropies = rng.standard_normal((2, rows))
    return Point(
        f"{rows} rows, choices of sizes {sizes}", logits=rng.standard_normal((rows, sum(sizes))), sizes=sizes,
        actions=rng.integers(sizes, size=(rows, len(sizes))), dlogprobs=dlogprobs, dentropies=dentropies,
    )  # fmt: skip


def _choice_points(rng: np.random.Generator) -> list[Point]:
    return [_choices(rng, 4, (3, 2, 4)), _choices(rng, 3, (2, 3)), _choices(rng, 2, (4,))]


def _choices_by_hand(expected: object) -> Point:
    """p = (3/4, 1/4 | 1/2, 1/4, 1/4) in the first row, (1/2, 1/2 | 1/4, 1/4, 1/2) in the second."""
    return Point(
        "worked by hand", expected, logits=np.log([[3.0, 1.0, 2.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 2.0]]),
        sizes=(2, 3), actions=np.array([[0, 1], [1, 2]]), dlogprobs=np.array([1.0, 0.5]),
        dentropies=np.array([0.0, 1.0]),
    )  # fmt: skip


def _choice_forward_points(rng: np.random.Generator) -> list[Point]:
    quarter = np.log(4) - 0.75 * np.log(3)  # entropy of (3/4, 1/4)
    expected = np.log([3 / 16, 1 / 4]), np.array([quarter, np.log(2)]) + 1.5 * np.log(2)
    return [_choices_by_hand(expected), *_choice_points(rng)]


def _choice_backward_points(rng: np.random.Generator) -> list[Point]:
    second = np.array([-0.25, 0.25, -0.125, -0.125, 0.25]) + np.log(2) * np.array([0, 0, 0.125, 0.125, -0.25])
    expected = np.array([[0.25, -0.25, -0.5, 0.75, -0.25], second])
    return [_choices_by_hand(expected), *_choice_points(rng)]


def _joint(_: Functions, point: Point) -> tuple[np.ndarray, np.ndarray]:
    """One categorical distribution over all combinations of choices: the logits of a combination are added."""
    offsets = np.cumsum(point.sizes) - point.sizes
    combinations = np.array(list(itertools.product(*map(range, point.sizes))))
    joint = np.exp(point.logits[:, combinations + offsets].sum(axis=2))
    p = joint / joint.sum(axis=1, keepdims=True)
    taken = (combinations == point.actions[:, np.newaxis]).all(axis=2)
    return np.log(p[taken]), -(p * np.log(p)).sum(axis=1)


def _backward(forward: str, *more: str) -> Any:
    """`right` for a backward pass whose forward pass returns (logprobs, entropies)."""

    def right(mine: Functions, point: Point) -> np.ndarray:
        def loss(logits: np.ndarray) -> float:
            rest = [getattr(point, name) for name in ("actions", *more)]
            logprobs, entropies = getattr(mine, forward)(logits, *rest)
            return (point.dlogprobs * logprobs + point.dentropies * entropies).sum()

        return gradient(loss, point.logits)[0]

    return right


def _bit_terms(point: Point) -> dict[str, dict[str, tuple[np.ndarray, float]]]:
    q = 1 / (1 + np.exp(-point.logits))
    dlogpi, dh = point.dlogprobs[:, np.newaxis], point.dentropies[:, np.newaxis]
    return {
        "dlogits": {
            "dlogpi x": (dlogpi * point.actions, 1),
            "dlogpi q": (dlogpi * q, -1),
            "dH l q": (dh * point.logits * q, -1),
            "dH l q^2": (dh * point.logits * q * q, 1),
            "dH q (1 - q)": (dh * q * (1 - q), 0),
        }
    }


EXERCISES = [
    Exercise("bernoulli_forward", ("logits", "actions"), ("logprobs", "entropies"), _bit_forward_points),
    Exercise(
        "bernoulli_backward", (*UPSTREAM, "logits", "actions"), ("dlogits",), _bit_backward_points,
        _backward("bernoulli_forward"), rests_on=("bernoulli_forward",), terms=_bit_terms,
    ),
    Exercise(
        "multi_categorical_forward", ("logits", "actions", "sizes"), ("logprobs", "entropies"),
        _choice_forward_points, _joint,
    ),
    Exercise(
        "multi_categorical_backward", (*UPSTREAM, "logits", "actions", "sizes"), ("dlogits",), _choice_backward_points,
        _backward("multi_categorical_forward", "sizes"), rests_on=("multi_categorical_forward",),
    ),
]  # fmt: skip
