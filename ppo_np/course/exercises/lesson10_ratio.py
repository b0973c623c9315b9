"""Grades lesson 10: the ratio and the estimate of the KL divergence, by hand and by exact expectations."""

import numpy as np

from ppo_np.course.exercise import Exercise, Point

NEW, OLD = np.log([0.5, 0.25]), np.log([0.25, 0.5])


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum())


def _drawn(rng: np.random.Generator, rows: int, scale: float) -> Point:
    old = -rng.exponential(1.0, rows)
    new = old + scale * rng.standard_normal(rows)
    return Point(f"{rows} rows, log rho of about {scale:g}", logprobs=new, old_logprobs=old, all=False)


def _every_action(rng: np.random.Generator) -> Point:
    """One row for each action of a state in which the old policy is uniform: the mean over the rows is exact."""
    old, new = _log_softmax(np.zeros(6)), _log_softmax(rng.standard_normal(6))
    return Point("every action, old policy uniform", logprobs=new, old_logprobs=old, all=True)


def _points(rng: np.random.Generator, by_hand: object, equal: object) -> list[Point]:
    same = -rng.exponential(1.0, 4)
    return [
        Point("worked by hand", by_hand, logprobs=NEW, old_logprobs=OLD, all=False),
        _drawn(rng, 7, 0.5),
        _drawn(rng, 5, 2.0),
        _drawn(rng, 1, 1.0),
        _every_action(rng),
        Point("equal policies", equal, logprobs=same, old_logprobs=same.copy(), all=False),
    ]


def _ratio_points(rng: np.random.Generator) -> list[Point]:
    return _points(rng, np.array([2.0, 0.5]), np.ones(4))


def _kl_points(rng: np.random.Generator) -> list[Point]:
    return _points(rng, 0.25, 0.0)


def _expectation_is_1(point: Point, rho: np.ndarray) -> str | None:
    """The expectation of the ratio under the old policy is sum_a pi_old pi / pi_old = 1."""
    mean = float(np.mean(rho))
    if not point.all or np.isclose(mean, 1):
        return None
    return (
        f"Over all actions with their old probabilities, your ratio is {mean:.4g} in the mean, not 1. Why must it be 1?"
    )


def _above_0(point: Point, rho: np.ndarray) -> str | None:
    if (rho > 0).all():
        return None
    return (
        f"Your ratio is {float(np.min(rho)):.4g} in one row ({point.label}). Can a quotient of probabilities be that?"
    )


def _expectation_is_kl(point: Point, value: float) -> str | None:
    """The expectation of the estimate under the old policy is the KL divergence."""
    right = float((np.exp(point.old_logprobs) * (point.old_logprobs - point.logprobs)).sum())
    if not point.all or np.isclose(value, right):
        return None
    return f"Over all actions, KL(old || new) is {right:.4g}, and your estimate is {value:.4g} in the mean. Why?"


def _never_negative(point: Point, value: float) -> str | None:
    if value > -1e-12:
        return None
    return f"Your estimate is {value:.4g} ({point.label}). Can a distance be below 0?"


ARGUMENTS = ("logprobs", "old_logprobs")
EXERCISES = [
    Exercise("ratio", ARGUMENTS, ("rho",), _ratio_points, laws=(_above_0, _expectation_is_1)),
    Exercise("approx_kl", ARGUMENTS, ("approx_kl",), _kl_points, laws=(_never_negative, _expectation_is_kl)),
]
