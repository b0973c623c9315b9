"""Draw the picture of lesson 18, the path of Adam and of plain steps: `python docs/figures/lesson18_adam.py`.

It writes docs/course/images/lesson18_adam.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.optimizer import adam

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson18_adam.png"
CURVATURES = np.array([1.0, 50.0])
START, STEPS = np.array([-4.0, 1.0]), 60
HEAD = ["step", "plain, lr 0.01", "plain, lr 0.038", "Adam, lr 0.1", "plain, lr 0.041"]
SHOWN = (0, 1, 5, 20, 60)


def loss(theta: np.ndarray) -> np.ndarray:
    """L = (theta_0^2 + 50 theta_1^2) / 2: a valley, flat along the first parameter and steep along the second."""
    return (CURVATURES * theta**2).sum(axis=-1) / 2


def plain(rate: float) -> np.ndarray:
    """Gradient descent with a fixed learning rate, (STEPS + 1, 2)."""
    path = [START]
    for _ in range(STEPS):
        path.append(path[-1] - rate * CURVATURES * path[-1])
    return np.array(path)


def with_adam(rate: float) -> np.ndarray:
    """The path of Adam, (STEPS + 1, 2)."""
    theta, m, v = START.copy(), np.zeros(2), np.zeros(2)
    path = [START]
    for step in range(1, STEPS + 1):
        adam(theta, CURVATURES * theta, m, v, step, rate, 0.9, 0.999, 1e-5)
        path.append(theta.copy())
    return np.array(path)


def paths() -> list[np.ndarray]:
    """One path for each column of the table."""
    return [plain(0.01), plain(0.038), with_adam(0.1), plain(0.041)]


def numbers() -> list[list[str]]:
    """Rows of the table."""
    found = [loss(path) for path in paths()]
    return [[str(step), *(f"{losses[step]:.3g}" for losses in found)] for step in SHOWN]


def draw() -> None:
    """Write the image."""
    figure, axes = plt.subplots(figsize=(5, 3.8), layout="constrained")
    x, y = np.meshgrid(np.linspace(-4.6, 1.6, 200), np.linspace(-1.3, 1.3, 200))
    axes.contour(x, y, loss(np.stack([x, y], axis=2)), (0.5, 2, 8, 20, 40), colors="#bbbbbb", linewidths=0.8)
    styles = (("s-", "#009e73"), ("^:", "#d55e00"), ("o-", "#0072b2"))
    for path, label, (style, colour) in zip(paths()[:3], HEAD[1:4], styles, strict=True):
        axes.plot(*path.T, style, color=colour, label=label, markersize=3, linewidth=1)
    axes.plot(*START, "ko", markersize=6)
    axes.plot(0, 0, "k*", markersize=10)
    axes.set(xlabel="theta[0] (circle: start, star: lowest point)", ylabel="theta[1]", ylim=(-1.3, 1.6))
    axes.legend(loc="upper right", fontsize=8)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
