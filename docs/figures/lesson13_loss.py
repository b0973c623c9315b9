"""Draw the picture of lesson 13, the gradients that meet at the fork: `python docs/figures/lesson13_loss.py`.

It writes docs/course/images/lesson13_loss.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.activation import RELU, activation_backward
from kernels.linear import linear_backward_input

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson13_loss.png"
H = np.array([[3.0, 0.0], [3.0, 2.0]])  # the trunk's outputs in the rows that the page works by hand
POLICY, VALUE = np.array([[1.0, -1.0], [0.5, 1.0]]), np.array([[0.5], [-1.0]])  # weights of the heads
DLOGITS, DVALUES = np.array([[1.0, -1.0], [-2.0, 2.0]]), np.array([[0.5], [2.0]])
HEAD = ["gradient", "row 0", "row 1"]
BOXES = {"obs": (0.9, 2), "trunk": (2.75, 2), "h": (4.75, 2), "policy head": (6.7, 3.2), "value head": (6.7, 0.8),
         "loss": (9, 2)}  # fmt: skip
ARROWS = [("obs", "trunk"), ("trunk", "h"), ("h", "policy head"), ("h", "value head"), ("policy head", "loss"),
          ("value head", "loss")]  # fmt: skip
LABELS = [("logits, and\nlog pi and H", (8.5, 3.3)), ("V", (7.55, 1.55))]
BACK = [("dh of\nthe policy", (6.3, 2.2)), ("dh of\nthe value", (5, 0.8)), ("dh, the sum", (3.8, 1.35))]


def gradients() -> dict[str, np.ndarray]:
    """The gradients at the fork by name, (2, ...) each."""
    policy, value = np.empty((2, 2, 2))
    linear_backward_input(DLOGITS, POLICY, policy)
    linear_backward_input(DVALUES, VALUE, value)
    dz = policy + value
    activation_backward(dz, H, RELU)
    return {"dlogits": DLOGITS, "dvalues": DVALUES, "dh of the policy": policy, "dh of the value": value,
            "dh, their sum": policy + value, "dz of the trunk, after ReLU": dz}  # fmt: skip


def numbers() -> list[list[str]]:
    """Rows of the table."""
    found = gradients().items()
    return [[name, *(", ".join(f"{number + 0.0:g}" for number in row) for row in array)] for name, array in found]


def draw() -> None:
    """Write the image."""
    figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
    for first, second in ARROWS:
        start, end = np.array(BOXES[first]), np.array(BOXES[second])
        unit = (end - start) / np.linalg.norm(end - start)
        side = 0.13 * np.array([-unit[1], unit[0]])
        start, end = start + 0.68 * unit, end - 0.68 * unit
        forward, back = {"arrowstyle": "->"}, {"arrowstyle": "->", "linestyle": "--", "color": "#d55e00"}
        axes.annotate("", end + side, start + side, arrowprops=forward)
        if first != "obs":
            axes.annotate("", start - side, end - side, arrowprops=back)
    for name, place in BOXES.items():
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "#0072b2"}
        axes.text(*place, name.replace(" ", "\n"), ha="center", va="center", fontsize=9, bbox=box)
    for text, place in LABELS:
        axes.text(*place, text, ha="center", va="center", fontsize=7)
    for text, place in BACK:
        axes.text(*place, text, ha="center", va="center", fontsize=7, style="italic", color="#a04000")
    axes.plot([], [], "-", color="black", label="forward")
    axes.plot([], [], "--", color="#d55e00", label="backward")
    axes.legend(loc="upper left", fontsize=7)
    axes.set(xlim=(0.2, 9.8), ylim=(0.1, 4))
    axes.axis("off")
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
