"""Grades lesson 18: the global norm by its laws, Adam by hand-worked steps and against the sums that it unrolls to."""

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point

ARGUMENTS = ("params", "grads", "m", "v", "step", "learning_rate", "beta1", "beta2", "eps")


def _gradients(rng: np.random.Generator) -> list[Point]:
    def tensors(scale: float) -> list[np.ndarray]:
        return [scale * rng.standard_normal(shape) for shape in ((3, 2), (2,), (2, 2), ())]

    by_hand = [np.array([3.0, 0.0]), np.array([[4.0]])]
    return [
        Point("worked by hand", [by_hand[0] / 5, by_hand[1] / 5], grads=by_hand, max_norm=1.0),
        Point("all zero", [np.zeros(2), np.zeros((1, 2))], grads=[np.zeros(2), np.zeros((1, 2))], max_norm=0.5),
        Point("a long gradient", grads=tensors(10.0), max_norm=0.5),
        Point("a short gradient", grads=tensors(0.01), max_norm=0.5),
        Point("a long one with large max_norm", grads=tensors(10.0), max_norm=5.0),
    ]


def _norm(tensors: list[np.ndarray]) -> float:
    return float(np.linalg.norm(np.concatenate([np.ravel(tensor) for tensor in tensors])))


def _length(point: Point, clipped: list[np.ndarray]) -> str | None:
    allowed, length = min(_norm(point.grads), point.max_norm), _norm(clipped)
    if abs(length - allowed) <= 1e-9 * max(1.0, allowed):
        return None
    return f"The norm of your whole gradient is {length:.6g}, but it must be {allowed:.6g} (point: {point.label})."


def _direction(point: Point, clipped: list[np.ndarray]) -> str | None:
    before = np.concatenate([np.ravel(tensor) for tensor in point.grads])
    after = np.concatenate([np.ravel(tensor) for tensor in clipped])
    if abs(before @ after - np.linalg.norm(before) * np.linalg.norm(after)) <= 1e-9 * (1 + before @ before):
        return None
    return "Your gradient has another direction than before. Is every tensor multiplied by the same factor?"


def _steps(rng: np.random.Generator) -> list[Point]:
    settings = {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.5}
    expected = np.array([1 - 0.1 * 2 / 2.5, 0.1 / 1.5]), np.array([1.0, -0.5]), np.array([1.0, 0.25])
    first = Point(
        "worked by hand", expected,
        params=np.array([1.0, 0.0]), grads=np.array([2.0, -1.0]), m=np.zeros(2), v=np.zeros(2), step=1, **settings,
    )  # fmt: skip
    return [first, *(_later(rng, step) for step in (1, 2, 5, 50))]


def _later(rng: np.random.Generator, step: int) -> Point:
    """The step number `step` of a run with random gradients; m and v are the sums that Adam unrolls to."""
    beta1, beta2 = rng.uniform(0.5, 0.95, 2)
    grads = rng.standard_normal((step, 6)) * np.logspace(-3, 1, 6)
    ages = np.arange(step - 1)[::-1, np.newaxis]  # of the earlier gradients, 0 for the latest one
    return Point(
        f"step {step}", params=rng.standard_normal(6), grads=grads[-1], step=step, learning_rate=rng.uniform(0.01, 0.1),
        beta1=beta1, beta2=beta2, eps=1e-3, m=((1 - beta1) * beta1**ages * grads[:-1]).sum(axis=0),
        v=((1 - beta2) * beta2**ages * grads[:-1] ** 2).sum(axis=0), history=grads,
    )  # fmt: skip


def _unrolled(_: Functions, point: Point) -> tuple[np.ndarray, ...]:
    """m_k = (1 - beta1) sum_i beta1^(k-i) g_i, and so on, from all gradients."""
    ages = np.arange(point.step)[::-1, np.newaxis]
    m = ((1 - point.beta1) * point.beta1**ages * point.history).sum(axis=0)
    v = ((1 - point.beta2) * point.beta2**ages * point.history**2).sum(axis=0)
    first, second = m / (1 - point.beta1**point.step), v / (1 - point.beta2**point.step)
    return point.params - point.learning_rate * first / (point.eps + np.sqrt(second)), m, v


EXERCISES = [
    Exercise("clip_by_global_norm", ("grads", "max_norm"), ("grads",), _gradients, laws=(_length, _direction)),
    Exercise("adam", ARGUMENTS, ("params", "m", "v"), _steps, _unrolled),
]
