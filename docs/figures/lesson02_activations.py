"""Draw the picture of lesson 2, the activations and their slopes: `python docs/figures/lesson02_activations.py`.

It writes docs/course/images/lesson02_activations.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.activation import RELU, TANH, activation_backward, activation_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson02_activations.png"
HEAD = ["z", "ReLU: h", "ReLU: slope", "tanh: h", "tanh: slope"]


def curve_and_slope(z: np.ndarray, activation: int) -> tuple[np.ndarray, np.ndarray]:
    """h = f(z) and f'(z), which is dz for the upstream gradient 1."""
    h, slope = z.reshape(1, -1).copy(), np.ones((1, z.size))
    activation_forward(h, activation)
    activation_backward(slope, h, activation)
    return h[0], slope[0]


def numbers() -> list[list[str]]:
    """Rows of the table."""
    z = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    columns = [z, *curve_and_slope(z, RELU), *curve_and_slope(z, TANH)]
    return [[f"{value:.3f}" for value in row] for row in zip(*columns, strict=True)]


def draw() -> None:
    """Write the image."""
    z = np.linspace(-3, 3, 601)
    figure, panels = plt.subplots(2, 1, figsize=(5, 5.4), layout="constrained", sharex=True)
    for axes, name, activation in zip(panels, ("ReLU", "tanh"), (RELU, TANH), strict=True):
        h, slope = curve_and_slope(z, activation)
        axes.plot(z, h, "-", color="#0072b2", label="h")
        if activation == RELU:
            slope[np.abs(z) < 1e-9] = np.nan  # no vertical line at the jump
        axes.plot(z, slope, "--", color="#d55e00", label="slope dh/dz")
        axes.grid(color="#dddddd")
        axes.set(title=name, ylim=(-1.2, 2.2))
        axes.legend(loc="upper left", fontsize=9)
    panels[1].set(xlabel="z")
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).convert("RGB").quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
