"""Draw the picture of lesson 16, digits that a subtraction loses: `python docs/figures/lesson16_normalize.py`.

It writes docs/course/images/lesson16_normalize.png and prints the table of the page.
"""

from fractions import Fraction
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.moments import update_moments

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson16_normalize.png"
ROWS = [3 * (7 * i % 50) / 49 for i in range(50)]  # from 0 to 3; the variance is the same wherever the mean is
HEAD = ["mean of the rows", "exact", "mean of squares minus squared mean", "running moments"]


def exact(shift: float) -> float:
    """Variance of the shifted rows, as they are stored, without rounding."""
    x = [Fraction(shift + row) for row in ROWS]
    mean = sum(x) / len(x)
    return float(sum((row - mean) ** 2 for row in x) / len(x))


def by_squares(shift: float) -> float:
    """Variance of the shifted rows as the mean of the squares minus the squared mean."""
    x = shift + np.array(ROWS)
    squares, total = np.cumsum(x**2)[-1], np.cumsum(x)[-1]  # one after the other: the same on every machine
    return float(squares / len(x) - (total / len(x)) ** 2)


def by_moments(shift: float) -> float:
    """Variance of the shifted rows by the kernel, ten rows at a time."""
    count, mean, variance = np.zeros(1), np.zeros(1), np.ones(1)
    for part in np.split(shift + np.array(ROWS)[:, np.newaxis], 5):
        update_moments(part, np.ones(10, bool), count, mean, variance)
    return float(variance[0])


def numbers() -> list[list[str]]:
    """Rows of the table."""
    ways = exact, by_squares, by_moments
    return [[f"1e{power}", *(f"{way(10.0**power):.5g}" for way in ways)] for power in (0, 2, 4, 6, 7, 8, 9)]


def draw() -> None:
    """Write the image."""
    shifts = np.logspace(0, 10, 61)
    figure, axes = plt.subplots(figsize=(5, 3.8), layout="constrained")
    for way, label, marker, colour in (
        (by_squares, "mean of squares minus squared mean", "x", "#d55e00"),
        (by_moments, "running moments of lesson 16", "o", "#0072b2"),
    ):
        error = np.array([abs(way(shift) / exact(shift) - 1) for shift in shifts])
        axes.plot(shifts, np.maximum(error, 1e-16), marker, color=colour, markersize=4, fillstyle="none", label=label)
    axes.axhline(1, color="#000000", linestyle=":")
    axes.text(1, 0.01, "no digit is right at this line and above", fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="mean of the rows (their spread is always the same)",
             ylabel="relative error of the variance", ylim=(3e-17, 1e7))  # fmt: skip
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1), fontsize=8)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
