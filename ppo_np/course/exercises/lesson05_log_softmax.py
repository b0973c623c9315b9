"""Grades lesson 5: log-softmax by laws, by hand-worked numbers and by the worked function."""

import numpy as np

from ppo_np.course.exercise import Exercise, Point

LOGITS = np.array([[0.0, np.log(3.0)], [2.0, 2.0]])
PROBS = np.array([[0.25, 0.75], [0.5, 0.5]])
# exp(1e4) and exp(-1e4) are out of the range of float64, and so is exp(800).
ROWS_APART = np.array([[1e4, 1e4], [-1e4, -1e4]])
ACTIONS_APART = np.array([[800.0, 800.0, 0.0], [-800.0, 0.0, 0.0]])
ACTIONS_LOG_PROBS = np.log(0.5) + np.array([[0.0, 0.0, -800.0], [-800.0, 0.0, 0.0]])


def _points(rng: np.random.Generator) -> list[Point]:
    return [
        Point("worked by hand", np.log(PROBS), logits=LOGITS),
        Point("5 rows, 3 actions", logits=rng.standard_normal((5, 3))),
        Point("as many rows as actions", logits=2 * rng.standard_normal((4, 4))),
        Point("one action", logits=rng.standard_normal((4, 1))),
        Point("rows at 10,000 and -10,000", np.full((2, 2), np.log(0.5)), logits=ROWS_APART),
        Point("actions 800 apart", ACTIONS_LOG_PROBS, logits=ACTIONS_APART),
        Point("logits up to 10,000", logits=1e4 * rng.uniform(-1, 1, (3, 4))),
    ]


def _sums_to_one(point: Point, log_probs: np.ndarray) -> str | None:
    totals = np.exp(log_probs).sum(axis=1)
    if np.allclose(totals, 1, rtol=0, atol=1e-9):
        return None
    worst = totals[np.argmax(np.abs(totals - 1))]
    return f"The probabilities of a row must sum to 1, but yours sum to {worst:.10g}."


def _keeps_differences(point: Point, log_probs: np.ndarray) -> str | None:
    """Within a row, log-probabilities differ as the logits do."""
    yours, right = log_probs[:, 1:] - log_probs[:, :1], point.logits[:, 1:] - point.logits[:, :1]
    if np.allclose(yours, right, rtol=1e-9, atol=1e-9):
        return None
    return "In a row, log p_1 - log p_0 must be l_1 - l_0: what is subtracted from a row must be one number."


EXERCISES = [
    Exercise("log_softmax", ("logits",), ("log_probs",), _points, laws=(_sums_to_one, _keeps_differences)),
]  # fmt: skip
