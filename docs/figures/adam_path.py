"""Adam and plain gradient steps on a surface that is 50 times steeper in one direction than in the other."""

import numpy as np

from docs.figures import style
from kernels.optimizer import adam

CURVATURE = np.array([1.0, 50.0])
START = np.array([-2.0, 0.8])
STEPS = 60
HEAD = ("step", "plain: x, y", "plain: loss", "Adam: x, y", "Adam: loss")


def loss(point: np.ndarray) -> np.ndarray:
    """(x^2 + 50 y^2) / 2 of points (..., 2)."""
    return (CURVATURE * point**2).sum(axis=-1) / 2


def plain_path(learning_rate: float, steps: int = STEPS) -> np.ndarray:
    """Points (steps + 1, 2) of plain gradient steps."""
    points = [START]
    for _ in range(steps):
        points.append(points[-1] - learning_rate * CURVATURE * points[-1])
    return np.array(points)


def adam_path(learning_rate: float, beta1: float = 0.9, beta2: float = 0.999, steps: int = STEPS) -> np.ndarray:
    """Points (steps + 1, 2) of the kernel's Adam."""
    params, m, v = START.copy(), np.zeros(2), np.zeros(2)
    points = [params.copy()]
    for step in range(1, steps + 1):
        adam(params, CURVATURE * params, m, v, step, learning_rate, beta1, beta2, 1e-8)
        points.append(params.copy())
    return np.array(points)


PATHS = (("plain steps, rate 0.038", plain_path(0.038)), ("Adam, rate 0.1", adam_path(0.1)))


def numbers() -> list[tuple]:
    """Rows of the table."""
    rows = []
    for step in (0, 1, 5, 20, 60):
        cells = [f"{step}"]
        for _, path in PATHS:
            # Adding 0 turns -0.0 into 0.0.
            cells += [", ".join(f"{number:.3f}" for number in np.round(path[step], 3) + 0.0), float(loss(path[step]))]
        rows.append(tuple(cells))
    return rows


def draw():
    """The figure."""
    figure, axes = style.new(panels=2)
    x, y = np.linspace(-2.4, 0.9, 100), np.linspace(-1.0, 1.0, 100)
    surface = loss(np.stack(np.meshgrid(x, y), axis=-1))
    axes[0].contour(x, y, surface, levels=(0.1, 0.5, 1, 2, 4, 8, 16), colors="#bbbbbb", linewidths=0.8)
    for number, (name, path) in enumerate(PATHS):
        marker = {"marker": "os"[number], "markersize": 3, "linewidth": 1.1}
        style.line(axes[0], *path.T, number, name, **marker)
        style.line(axes[1], np.arange(STEPS + 1), loss(path), number, name, **marker)
    axes[0].plot(0, 0, "k*", markersize=9)
    axes[0].set(xlabel="x (flat direction)", ylabel="y (steep direction)")
    axes[1].set(yscale="log", xlabel="step", ylabel="loss", ylim=(1e-4, None))
    axes[1].legend(loc="lower left", fontsize=8)
    return figure
