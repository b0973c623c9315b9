"""Grades lesson 2: the activations by hand-worked numbers, their backward passes against differences of the forward."""

from collections.abc import Callable, Mapping

import numpy as np

from ppo_np.course.exercise import Exercise, Functions, Point, gradient

SHAPES = ((4, 3), (1, 5), (6, 1))
MARGIN = 1e-2  # of |z| from the kink of ReLU: far more than the step of a difference
RELU_Z = np.array([[2.0, -1.0], [0.0, 0.5]])
TANH_H = np.array([[0.6, -0.8], [0.0, 0.5]])
DH = np.array([[3.0, 4.0], [5.0, -2.0]])


def _drawn(rng: np.random.Generator, activation: Callable[[np.ndarray], np.ndarray]) -> list[Point]:
    """A point for each shape: positive and negative z in turn, none near 0."""
    points = []
    for shape in SHAPES:
        sign = np.where(np.arange(shape[0] * shape[1]).reshape(shape) % 2, -1, 1)
        z = sign * rng.uniform(MARGIN, 2, shape)
        dh = rng.standard_normal(shape)
        points.append(Point(f"shape {shape}", z=z, h=activation(z), dh=dh))
    return points


def _relu(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, z, 0.0)


def _relu_points(rng: np.random.Generator) -> list[Point]:
    return [Point("worked by hand, with z = 0", _relu(RELU_Z), z=RELU_Z), *_drawn(rng, _relu)]


def _relu_backward_points(rng: np.random.Generator) -> list[Point]:
    expected = np.array([[3.0, 0.0], [0.0, -2.0]])
    by_hand = Point("worked by hand, with z = 0", expected, h=_relu(RELU_Z), dh=DH)
    return [by_hand, *_drawn(rng, _relu)]


def _tanh_points(rng: np.random.Generator) -> list[Point]:
    by_hand = Point("worked by hand", TANH_H, z=np.log([[4.0, 1 / 9], [1.0, 3.0]]) / 2)
    large = Point("very large and very small z", np.array([[1.0, -1.0, 0.0]]), z=np.array([[800.0, -800.0, 1e-300]]))
    return [by_hand, *_drawn(rng, np.tanh), large]


def _tanh_backward_points(rng: np.random.Generator) -> list[Point]:
    expected = np.array([[1.92, 1.44], [5.0, -1.5]])
    return [Point("worked by hand", expected, h=TANH_H, dh=DH), *_drawn(rng, np.tanh)]


def _relu_backward(mine: Functions, point: Point) -> np.ndarray:
    """d sum(dh h) / d z by differences of the learner's forward pass."""
    return gradient(lambda z: (point.dh * mine.relu_forward(z)).sum(), point.z)[0]


def _tanh_backward(mine: Functions, point: Point) -> np.ndarray:
    """d sum(dh h) / d z by differences of the learner's forward pass."""
    return gradient(lambda z: (point.dh * mine.tanh_forward(z)).sum(), point.z)[0]


def _tanh_terms(point: Point) -> Mapping[str, Mapping[str, tuple[np.ndarray, float]]]:
    dh, h = point.dh, point.h
    return {"dz": {"dh": (dh, 1), "dh h^2": (dh * h**2, -1), "dh h": (dh * h, 0), "h^2": (h**2, 0)}}


EXERCISES = [
    Exercise("relu_forward", ("z",), ("h",), _relu_points),
    Exercise(
        "relu_backward", ("dh", "h"), ("dz",), _relu_backward_points, _relu_backward, rests_on=("relu_forward",)
    ),
    Exercise("tanh_forward", ("z",), ("h",), _tanh_points),
    Exercise(
        "tanh_backward", ("dh", "h"), ("dz",), _tanh_backward_points, _tanh_backward, rests_on=("tanh_forward",),
        terms=_tanh_terms,
    ),
]  # fmt: skip
