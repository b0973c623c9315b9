"""Grades lesson 8: the policy gradient against differences of its loss, and against an exact enumeration.

In the enumeration each action of one state is a row. The rows, weighted with the probabilities of their actions, are
the expectation of the learner's estimate, and that must be the derivative of the expected return.
"""

from collections.abc import Mapping

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

LOGITS = np.log([[1.0, 3.0], [2.0, 2.0]])
EXPECTED = np.array([[-0.75, 0.75], [-0.25, 0.25]])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _drawn(rng: np.random.Generator, rows: int, actions: int) -> Point:
    """A point with random logits, actions, returns and baselines."""
    returns, baselines = rng.normal(3.0, 2.0, (2, rows))
    logits, chosen = rng.standard_normal((rows, actions)), rng.integers(actions, size=rows)
    return Point(f"{rows} rows, {actions} actions", logits=logits, actions=chosen, returns=returns, baselines=baselines)


def _enumerated(rng: np.random.Generator, actions: int) -> list[Point]:
    """All actions of one state, without a baseline and with one: the expectation is the same."""
    logits, returns = rng.standard_normal(actions), rng.normal(3.0, 2.0, actions)
    points = []
    for label, baseline in (("every action, no baseline", 0.0), ("every action, a baseline", rng.normal(3.0, 1.0))):
        values = {"logits": np.tile(logits, (actions, 1)), "actions": np.arange(actions), "returns": returns}
        points.append(Point(label, **values, baselines=np.full(actions, baseline), state=logits))
    return points


def _points(rng: np.random.Generator) -> list[Point]:
    by_hand = Point(
        "worked by hand", EXPECTED, logits=LOGITS, actions=np.array([0, 1]), returns=np.array([5.0, 3.0]),
        baselines=np.array([3.0, 4.0]),
    )  # fmt: skip
    drawn = [_drawn(rng, 7, 4), _drawn(rng, 5, 2), _drawn(rng, 6, 3)]
    return [by_hand, *drawn, *_enumerated(rng, 4)]


def _policy_gradient(_: Functions, point: Point) -> np.ndarray:
    """Derivative of the loss as the lesson defines it."""

    def loss(logits: np.ndarray) -> float:
        logprobs = _log_softmax(logits)[np.arange(len(point.actions)), point.actions]
        return -((point.returns - point.baselines) * logprobs).mean()

    return gradient(loss, point.logits)[0]


def _derivative_of_expected_return(point: Point, dlogits: np.ndarray) -> str | None:
    """The mean over all actions, each with its probability, is minus the derivative of J = sum_a p_a G_a."""
    if "state" not in vars(point):
        return None

    def expected_return(logits: np.ndarray) -> float:
        return (np.exp(_log_softmax(logits[np.newaxis])[0]) * point.returns).sum()

    right = -gradient(expected_return, point.state)[0]
    probs = np.exp(_log_softmax(point.logits[:1])[0])
    mean = len(probs) * probs @ dlogits
    if np.allclose(mean, right, rtol=1e-6, atol=1e-8):
        return None
    k = int(np.argmax(np.abs(mean - right)))
    return (
        f"Over all actions with their probabilities ({point.label}), your dlogits[{k}] is {mean[k]:.4g} in the mean. "
        f"Minus the derivative of the expected return is {right[k]:.4g}: what makes the difference?"
    )


def _rows_sum_to_zero(point: Point, dlogits: np.ndarray) -> str | None:
    totals = dlogits.sum(axis=1)
    if np.allclose(totals, 0, rtol=0, atol=1e-9):
        return None
    b = int(np.argmax(np.abs(totals)))
    return f"Row {b} of your dlogits sums to {totals[b]:.4g}, not to 0: what happens if all logits rise by 1?"


def _terms(point: Point) -> Mapping[str, Mapping[str, tuple[np.ndarray, float]]]:
    probs = np.exp(_log_softmax(point.logits))
    one_hot = np.eye(probs.shape[1])[point.actions]
    weights = ((point.returns - point.baselines) / len(probs))[:, np.newaxis]
    return {
        "dlogits": {
            "(G - c) 1[k = a] / B": (weights * one_hot, -1),
            "(G - c) p / B": (weights * probs, 1),
            "c 1[k = a] / B": (point.baselines[:, np.newaxis] * one_hot / len(probs), 0),
            "c p / B": (point.baselines[:, np.newaxis] * probs / len(probs), 0),
        }
    }


EXERCISES = [
    Exercise(
        "policy_gradient", ("logits", "actions", "returns", "baselines"), ("dlogits",), _points, _policy_gradient,
        laws=(_rows_sum_to_zero, _derivative_of_expected_return), terms=_terms,
    ),
]  # fmt: skip
