"""Grades lesson 17: orthogonal matrices by a law, by hand-worked numbers and by the worked function."""

import numpy as np

from ppo_np.course.exercise import Exercise, Point

SHAPES = {"square": (3, 3), "tall": (5, 2), "wide": (2, 4), "one column": (4, 1), "one row": (1, 3)}
NORMALS = np.array([[3.0, 1.0], [4.0, 2.0]])
WEIGHT = np.array([[1.2, -1.6], [1.6, 1.2]])


def _points(rng: np.random.Generator) -> list[Point]:
    points = [
        Point("worked by hand", WEIGHT, normals=NORMALS, gain=2.0, shape=(2, 2)),
        Point("one row, by hand", np.array([[0.3, 0.4]]), normals=np.array([[3.0], [4.0]]), gain=0.5, shape=(1, 2)),
    ]
    for label, shape in SHAPES.items():
        gain = rng.uniform(0.2, 3.0)
        points.append(Point(label, normals=_clear(rng, (max(shape), min(shape))), gain=gain, shape=shape))
    return points


def _clear(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Normal numbers whose columns are not nearly dependent: then every way of factorising is accurate."""
    while True:
        normals = rng.standard_normal(shape)
        if np.linalg.cond(normals) < 100:
            return normals


def _orthogonal(point: Point, weight: np.ndarray) -> str | None:
    """W^T W = gain^2 Id, or W W^T if W is wide."""
    inputs, outputs = point.shape
    what, vectors = ("columns", weight.T) if inputs >= outputs else ("rows", weight)
    products = vectors @ vectors.T
    lengths = np.sqrt(np.diag(products))
    if not np.allclose(lengths, point.gain, rtol=1e-7, atol=0):
        worst = lengths[np.argmax(np.abs(lengths - point.gain))]
        return f"A {what[:-1]} of your W has the length {worst:.4g}, but the gain is {point.gain:.4g}: what changed it?"
    products -= np.diag(np.diag(products))
    if np.allclose(products, 0, rtol=0, atol=1e-7 * point.gain**2):
        return None
    i, j = (int(index) for index in np.argwhere(np.abs(products) == np.abs(products).max())[0])
    return f"The {what} {i} and {j} of your W have the inner product {products[i, j]:.4g}. What is it in Q?"


EXERCISES = [Exercise("orthogonal", ("normals", "gain", "shape"), ("weight",), _points, laws=(_orthogonal,))]
