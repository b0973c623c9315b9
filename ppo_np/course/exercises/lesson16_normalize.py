"""Grades lesson 16: normalised advantages, and running moments against those of all rows together."""

import math

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point


def _advantages(rng: np.random.Generator) -> list[Point]:
    return [
        Point("worked by hand", np.array([-1.0, 1.0]) / (1 + 1e-8), advantages=np.array([1.0, 3.0])),
        Point("one row", np.array([-2.5]), advantages=np.array([-2.5])),
        Point("equal advantages", np.zeros(4), advantages=np.full(4, 1.5)),
        Point("7 rows", advantages=3 + 2 * rng.standard_normal(7)),
        Point("small advantages", advantages=1e-3 * rng.standard_normal(5)),
    ]


def _mean_and_std(point: Point, normalized: np.ndarray) -> str | None:
    if len(normalized) == 1 or not np.ptp(point.advantages):
        return None
    mean, std = normalized.mean(), normalized.std()
    if abs(mean) < 1e-9 and abs(std - 1) < 1e-4:
        return None
    return f"The mean of your result is {mean:.4g} and its standard deviation {std:.4g}; they must be 0 and 1."


def _batch(label: str, earlier: np.ndarray, x: np.ndarray) -> Point:
    """Moments of some earlier rows, computed row by row with exact sums, and a new batch."""
    mean, variance = _moments(earlier) if len(earlier) else (np.full(x.shape[1], 7.0), np.full(x.shape[1], 3.0))
    return Point(label, x=x, count=len(earlier), mean=mean, variance=variance, rows=np.concatenate([earlier, x]))


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each column, with sums that do not round (math.fsum)."""
    mean = np.array([math.fsum(column) / len(rows) for column in rows.T])
    variance = [math.fsum((column - m) ** 2) / len(rows) for column, m in zip(rows.T, mean, strict=True)]
    return mean, np.array(variance)


def _batches(rng: np.random.Generator) -> list[Point]:
    by_hand = Point(
        "worked by hand", (4, np.array([2.0]), np.array([2.0])), x=np.array([[2.0], [4.0]]), count=2,
        mean=np.array([1.0]), variance=np.array([1.0]),
    )  # fmt: skip
    scales = np.array([1.0, 100.0, 0.01])
    return [
        by_hand,
        _batch("the first batch", np.zeros((0, 3)), rng.standard_normal((4, 3)) * scales),
        _batch("6 rows after 5", rng.standard_normal((5, 3)) * scales, 1 + rng.standard_normal((6, 3)) * scales),
        _batch("one row after 3", rng.standard_normal((3, 2)), rng.standard_normal((1, 2))),
        _batch("near 1e8", 1e8 + rng.standard_normal((8, 2)), 1e8 + 1 + rng.standard_normal((5, 2))),
    ]


def _of_all_rows(_: Functions, point: Point) -> tuple[int, np.ndarray, np.ndarray]:
    return len(point.rows), *_moments(point.rows)


EXERCISES = [
    Exercise("normalize", ("advantages",), ("normalized",), _advantages, laws=(_mean_and_std,)),
    Exercise(
        "update_moments", ("x", "count", "mean", "variance"), ("count", "mean", "variance"), _batches, _of_all_rows
    ),
]
