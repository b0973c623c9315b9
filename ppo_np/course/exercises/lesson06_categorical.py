"""Grades lesson 6: the gradient of the logits against differences of the learner's forward pass."""

from collections.abc import Mapping

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

LOGITS = np.log([[1.0, 3.0], [2.0, 2.0]])
LOG_PROBS = np.log([[0.25, 0.75], [0.5, 0.5]])
ACTIONS = np.array([1, 0])
ENTROPIES = np.array([2 * np.log(2) - 0.75 * np.log(3), np.log(2)])
DLOGPROBS, DENTROPIES = np.array([1.0, -2.0]), np.array([2.0, 1.0])
RISE = 3 / 16 * np.log(3)  # slope of the first row's entropy with respect to its first logit
DLOGITS = np.array([[-0.25 + 2 * RISE, 0.25 - 2 * RISE], [-1.0, 1.0]])


def _point(label: str, logits: np.ndarray, actions: np.ndarray, *upstream: np.ndarray, expected: object) -> Point:
    """A point with what the forward pass gives there."""
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return Point(
        label, expected, logits=logits, actions=actions, dlogprobs=upstream[0], dentropies=upstream[1],
        log_probs=log_probs, entropies=-(np.exp(log_probs) * log_probs).sum(axis=1),
    )  # fmt: skip


def _drawn(rng: np.random.Generator, rows: int, actions: int, scale: float) -> Point:
    """A point with random logits, actions and upstream gradients."""
    logits, chosen = scale * rng.standard_normal((rows, actions)), rng.integers(actions, size=rows)
    upstream = rng.standard_normal((2, rows))
    return _point(f"{rows} rows, {actions} actions", logits, chosen, *upstream, expected=None)


def _points(rng: np.random.Generator) -> list[Point]:
    return [_drawn(rng, 4, 4, 1.0), _drawn(rng, 6, 4, 1.0), _drawn(rng, 3, 2, 2.0), _drawn(rng, 1, 5, 1.0)]


def _by_hand(expected: object) -> Point:
    return _point("worked by hand", LOGITS, ACTIONS, DLOGPROBS, DENTROPIES, expected=expected)


def _forward_points(rng: np.random.Generator) -> list[Point]:
    return [_by_hand((LOG_PROBS, np.log([0.75, 0.5]), ENTROPIES)), *_points(rng)]


def _backward_points(rng: np.random.Generator) -> list[Point]:
    return [_by_hand(DLOGITS), *_points(rng)]


def _categorical_backward(mine: Functions, point: Point) -> np.ndarray:
    """d sum(dlogprobs log pi + dentropies H) / d logits by differences of the learner's forward pass."""

    def loss(logits: np.ndarray) -> float:
        _, logprobs, entropies = mine.categorical_forward(logits, point.actions)
        return (point.dlogprobs * logprobs + point.dentropies * entropies).sum()

    return gradient(loss, point.logits)[0]


def _entropy_in_range(point: Point, result: tuple[np.ndarray, ...]) -> str | None:
    entropies, highest = np.asarray(result[2]), np.log(point.logits.shape[1])
    wrong = np.flatnonzero((entropies < -1e-9) | (entropies > highest + 1e-9))
    if not wrong.size:
        return None
    b = int(wrong[0])
    return f"Your entropy of row {b} is {entropies[b]:.4g}. Can it be below 0, or above log K = {highest:.4g}?"


def _rows_sum_to_zero(point: Point, dlogits: np.ndarray) -> str | None:
    totals = dlogits.sum(axis=1)
    if np.allclose(totals, 0, rtol=0, atol=1e-9):
        return None
    b = int(np.argmax(np.abs(totals)))
    return f"Row {b} of your dlogits sums to {totals[b]:.4g}, not to 0: what happens if all logits rise by 1?"


def _terms(point: Point) -> Mapping[str, Mapping[str, tuple[np.ndarray, float]]]:
    probs = np.exp(point.log_probs)
    one_hot = np.eye(probs.shape[1])[point.actions]
    dlogpi, dh = point.dlogprobs[:, np.newaxis], point.dentropies[:, np.newaxis]
    return {
        "dlogits": {
            "dlogpi 1[k = a]": (dlogpi * one_hot, 1),
            "dlogpi p": (dlogpi * probs, -1),
            "dH p log p": (dh * probs * point.log_probs, -1),
            "dH p H": (dh * probs * point.entropies[:, np.newaxis], -1),
            "dH p": (dh * probs, 0),
            "dH log p": (dh * point.log_probs, 0),
            "dH 1[k = a]": (dh * one_hot, 0),
        }
    }


EXERCISES = [
    Exercise(
        "categorical_forward", ("logits", "actions"), ("log_probs", "logprobs", "entropies"), _forward_points,
        laws=(_entropy_in_range,),
    ),
    Exercise(
        "categorical_backward", ("dlogprobs", "dentropies", "actions", "log_probs", "entropies"), ("dlogits",),
        _backward_points, _categorical_backward, rests_on=("categorical_forward",), laws=(_rows_sum_to_zero,),
        terms=_terms,
    ),
]  # fmt: skip
