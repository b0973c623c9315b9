"""Draw the picture of lesson 1, the error of a numeric derivative: `python docs/figures/lesson01_differences.py`.

It writes docs/course/images/lesson01_differences.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson01_differences.png"
X = 0.5  # the derivative of tanh is taken here
RIGHT = 1 - np.tanh(X) ** 2
KINK = 0.002  # distance of the ReLU's z from its kink
HEAD = ["h", "one-sided", "central", "complex step", "central, kink at distance 0.002"]


def errors(h: float) -> list[float]:
    """Absolute errors of the columns of the table at a step h; at least 1e-17."""
    one_sided = (np.tanh(X + h) - np.tanh(X)) / h
    central = (np.tanh(X + h) - np.tanh(X - h)) / (2 * h)
    by_complex = np.tanh(X + 1j * h).imag / h
    kink = (max(KINK + h, 0.0) - max(KINK - h, 0.0)) / (2 * h)
    found = np.array([one_sided - RIGHT, central - RIGHT, by_complex - RIGHT, kink - 1.0])
    return np.maximum(np.abs(found), 1e-17).tolist()


def numbers() -> list[list[str]]:
    """Rows of the table. Digits of rounding errors depend on the machine: a power of ten above twice the error."""
    steps = (1e-1, 1e-2, 1e-3, 1e-5, 1e-8, 1e-12)
    return [
        [f"{h:.0e}", *(f"below {10.0 ** np.ceil(np.log10(2 * max(e, 1e-15))):.0e}" for e in errors(h))] for h in steps
    ]


def draw() -> None:
    """Write the image."""
    steps = np.logspace(-15, 0, 61)
    one_sided, central, by_complex, kink = np.array([errors(h) for h in steps]).T
    figure, (above, below) = plt.subplots(2, 1, figsize=(5, 6), layout="constrained", sharex=True)
    above.plot(steps, one_sided, "o-", label="one-sided", color="#0072b2", markersize=3)
    above.plot(steps, central, "s--", label="central", color="#d55e00", markersize=3)
    above.plot(steps, by_complex, "^:", label="complex step", color="#009e73", markersize=3)
    above.set(title="tanh at 0.5", ylabel="error")
    below.plot(steps, kink, "s--", label="central", color="#d55e00", markersize=3)
    below.axvline(KINK, color="#555555", linewidth=0.8)
    below.text(KINK * 1.3, 1e-14, "h = distance\nto the kink", fontsize=8)
    below.set(title="ReLU at 0.002", xlabel="step h", ylabel="error")
    for axes in (above, below):
        axes.axvline(1e-5, color="#999999", linewidth=0.8)
        axes.set(xscale="log", yscale="log", ylim=(3e-18, 10))
        axes.legend(loc="upper center", fontsize=8)
    above.text(1.3e-5, 1e-17, "h = 1e-5", fontsize=8)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).convert("RGB").quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
