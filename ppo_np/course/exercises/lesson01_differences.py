"""Grades lesson 1: the central difference itself, at a large step where it can be told from other quotients."""

from collections.abc import Mapping

import numpy as np

from ppo_np.course.exercise import Exercise, Point


def _by_hand(x: np.ndarray) -> float:
    return x[0] ** 3 + x[0] * x[1]


def _sum_of_sizes(x: np.ndarray) -> float:
    return np.abs(x).sum()


class _Smooth:
    """A function with random coefficients in which every entry has another derivative, also a mixed one."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...]):
        self.inner, self.outer = rng.uniform(0.5, 1.5, (2, *shape))
        self.mixed = rng.uniform(0.5, 1.5, shape)

    def __call__(self, x: np.ndarray) -> float:
        return float((self.outer * np.exp(self.inner * x)).sum() + (self.mixed * x).sum() ** 3)


def _drawn(rng: np.random.Generator, label: str, shape: tuple[int, ...], h: float) -> Point:
    return Point(label, f=_Smooth(rng, shape), x=rng.uniform(-1, 1, shape), h=h)


def _points(rng: np.random.Generator) -> list[Point]:
    return [
        Point("worked by hand", np.array([5.01, 1.0]), f=_by_hand, x=np.array([1.0, 2.0]), h=0.1),
        Point("a kink: |x| at 0", np.array([0.0, 1.0]), f=_sum_of_sizes, x=np.array([0.0, 3.0]), h=0.5),
        _drawn(rng, "a vector, a large step", (4,), rng.uniform(0.1, 0.3)),
        _drawn(rng, "a matrix, a large step", (2, 3), rng.uniform(0.1, 0.3)),
        _drawn(rng, "a vector, h = 1e-5", (5,), 1e-5),
        _drawn(rng, "three axes, h = 1e-5", (2, 1, 2), 1e-5),
        _drawn(rng, "one number", (1,), rng.uniform(0.01, 0.1)),
    ]


def _terms(point: Point) -> Mapping[str, Mapping[str, tuple[np.ndarray, float]]]:
    """The two values of f that make the difference, for each entry, and the value between them."""
    above, below = np.empty(point.x.shape), np.empty(point.x.shape)
    for place in np.ndindex(point.x.shape):
        step = np.zeros(point.x.shape)
        step[place] = point.h
        above[place], below[place] = point.f(point.x + step), point.f(point.x - step)
    between = np.full(point.x.shape, point.f(point.x))
    return {
        "gradient": {
            "f(x + h e_i) / (2h)": (above / (2 * point.h), 1),
            "f(x - h e_i) / (2h)": (below / (2 * point.h), -1),
            "f(x) / (2h)": (between / (2 * point.h), 0),
        }
    }


EXERCISES = [Exercise("numeric_gradient", ("f", "x", "h"), ("gradient",), _points, terms=_terms)]
