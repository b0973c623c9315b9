"""Grades lesson 3: the backward pass of a linear layer against differences of the learner's forward pass."""

from collections.abc import Mapping

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

SHAPES = {"B = 4, I = 3, O = 2": (4, 3, 2), "square W": (5, 3, 3), "one row": (1, 2, 3)}
X = np.array([[1.0, 2.0], [3.0, -1.0]])
W = np.array([[1.0, 0.0], [2.0, -1.0]])
BIAS = np.array([0.5, 1.0])
DY = np.array([[1.0, 2.0], [0.0, -1.0]])


def _drawn(rng: np.random.Generator) -> list[Point]:
    """A point for each shape."""
    points = []
    for label, (rows, inputs, outputs) in SHAPES.items():
        x, dy = rng.standard_normal((rows, inputs)), rng.standard_normal((rows, outputs))
        weight, bias = rng.standard_normal((inputs, outputs)), rng.standard_normal(outputs)
        points.append(Point(label, x=x, weight=weight, bias=bias, dy=dy))
    return points


def _forward_points(rng: np.random.Generator) -> list[Point]:
    by_hand = Point("worked by hand", np.array([[5.5, -1.0], [1.5, 2.0]]), x=X, weight=W, bias=BIAS)
    return [by_hand, *_drawn(rng)]


def _backward_points(rng: np.random.Generator) -> list[Point]:
    expected = np.array([[1.0, -1.0], [2.0, 5.0]]), np.array([1.0, 1.0]), np.array([[1.0, 0.0], [0.0, 1.0]])
    return [Point("worked by hand", expected, x=X, weight=W, bias=BIAS, dy=DY), *_drawn(rng)]


def _linear_backward(mine: Functions, point: Point) -> tuple[np.ndarray, ...]:
    """d sum(dy y) / d W, b, x by differences of the learner's forward pass."""

    def loss(weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> float:
        return (point.dy * mine.linear_forward(x, weight, bias)).sum()

    return gradient(loss, point.weight, point.bias, point.x)


def _forward_terms(point: Point) -> Mapping[str, Mapping[str, tuple[np.ndarray, float]]]:
    product = point.x @ point.weight
    return {"y": {"x W": (product, 1), "b": (np.broadcast_to(point.bias, product.shape), 1)}}


EXERCISES = [
    Exercise("linear_forward", ("x", "weight", "bias"), ("y",), _forward_points, terms=_forward_terms),
    Exercise(
        "linear_backward", ("dy", "x", "weight"), ("dweight", "dbias", "dx"), _backward_points, _linear_backward,
        rests_on=("linear_forward",),
    ),
]  # fmt: skip
