"""Grades lesson 14: the gradient of a diagonal Gaussian against differences of the learner's forward pass."""

from collections.abc import Mapping

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

HALF_LOG_2PI = np.log(2 * np.pi) / 2


def _drawn(rng: np.random.Generator, rows: int, components: int) -> Point:
    """Actions away from the means, several standard deviations, random upstream gradients."""
    means, log_std = rng.standard_normal((rows, components)), rng.uniform(-1, 1, components)
    actions = means + np.exp(log_std) * rng.standard_normal((rows, components))
    dlogprobs, dentropies = rng.standard_normal((2, rows))
    return Point(
        f"{rows} rows, {components} components", means=means, log_std=log_std, actions=actions, dlogprobs=dlogprobs,
        dentropies=dentropies,
    )  # fmt: skip


def _by_hand(expected: object) -> Point:
    """sigma = 2 and 1; zeta = 1 and 0 in the first row, -1/2 and 2 in the second."""
    return Point(
        "worked by hand", expected, means=np.array([[0.0, 1.0], [1.0, 0.0]]), log_std=np.log([2.0, 1.0]),
        actions=np.array([[2.0, 1.0], [0.0, 2.0]]), dlogprobs=np.array([1.0, -2.0]), dentropies=np.array([0.5, 0.5]),
    )  # fmt: skip


def _points(rng: np.random.Generator) -> list[Point]:
    return [_drawn(rng, 5, 3), _drawn(rng, 3, 1), _drawn(rng, 1, 2)]


def _forward_points(rng: np.random.Generator) -> list[Point]:
    logprobs = -np.array([0.5, 2.125]) - np.log(2) - 2 * HALF_LOG_2PI
    entropies = np.full(2, np.log(2) + 2 * HALF_LOG_2PI + 1)
    return [_by_hand((logprobs, entropies)), *_points(rng)]


def _backward_points(rng: np.random.Generator) -> list[Point]:
    expected = np.array([[0.5, 0.0], [0.5, -4.0]]), np.array([2.5, -6.0])
    return [_by_hand(expected), *_points(rng)]


def _gaussian_backward(mine: Functions, point: Point) -> tuple[np.ndarray, ...]:
    def loss(means: np.ndarray, log_std: np.ndarray) -> float:
        logprobs, entropies = mine.gaussian_forward(means, log_std, point.actions)
        return (point.dlogprobs * logprobs + point.dentropies * entropies).sum()

    return gradient(loss, point.means, point.log_std)


def _integrates_to_one(point: Point, result: tuple[np.ndarray, np.ndarray]) -> str | None:
    """H is at least the entropy that the density implies: E[-log pi] = H, checked at the mean: log pi(mu) = A/2 - H."""
    logprobs, entropies = result
    zeta = (point.actions - point.means) / np.exp(point.log_std)
    at_mean = logprobs + (zeta**2).sum(axis=1) / 2
    if np.allclose(at_mean, point.means.shape[1] / 2 - entropies, rtol=0, atol=1e-9):
        return None
    return "Your log pi and H do not fit together: log pi at the mean must be A/2 - H. Which constant differs?"


def _terms(point: Point) -> Mapping[str, Mapping[str, tuple[np.ndarray, float]]]:
    std = np.exp(point.log_std)
    zeta, dlogpi = (point.actions - point.means) / std, point.dlogprobs[:, np.newaxis]
    ones = np.ones_like(std)
    return {
        "dmeans": {
            "dlogpi zeta / sigma": (dlogpi * zeta / std, 1),
            "dlogpi zeta": (dlogpi * zeta, 0),
            "dlogpi zeta sigma": (dlogpi * zeta * std, 0),
        },
        "dlog_std": {
            "sum_b dlogpi zeta^2": ((dlogpi * zeta**2).sum(axis=0), 1),
            "sum_b dlogpi": (point.dlogprobs.sum() * ones, -1),
            "sum_b dH": (point.dentropies.sum() * ones, 1),
            "sum_b dlogpi zeta": ((dlogpi * zeta).sum(axis=0), 0),
        },
    }


EXERCISES = [
    Exercise(
        "gaussian_forward", ("means", "log_std", "actions"), ("logprobs", "entropies"), _forward_points,
        laws=(_integrates_to_one,),
    ),
    Exercise(
        "gaussian_backward", ("dlogprobs", "dentropies", "means", "log_std", "actions"), ("dmeans", "dlog_std"),
        _backward_points, _gaussian_backward, rests_on=("gaussian_forward",), terms=_terms,
    ),
]  # fmt: skip
