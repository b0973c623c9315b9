"""Grades lesson 5: log-softmax by laws, by hand-worked numbers and by the worked function."""

import numpy as np

from ppo_np.course.exercise import Exercise, Point


def _points(rng: np.random.Generator) -> list[Point]:
    by_hand = Point(
        "worked by hand", np.log([[0.25, 0.75], [0.5, 0.5]]), logits=np.log(np.array([[1.0, 3.0], [2.0, 2.0]]))
    )
    large = 1e4 * rng.uniform(-1, 1, (3, 4))
    return [
        by_hand,
        Point("5 rows, 3 actions", logits=rng.standard_normal((5, 3))),
        Point("one action", logits=rng.standard_normal((4, 1))),
        Point("logits up to 10,000", logits=large),
    ]


def _sums_to_one(point: Point, log_probs: np.ndarray) -> str | None:
    totals = np.exp(log_probs).sum(axis=1)
    if np.allclose(totals, 1, rtol=0, atol=1e-9):
        return None
    return f"The probabilities of a row must sum to 1, but yours sum to {totals[np.argmax(abs(totals - 1))]:.6g}."


EXERCISES = [Exercise("log_softmax", ("logits",), ("log_probs",), _points, laws=(_sums_to_one,))]
