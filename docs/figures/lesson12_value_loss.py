"""Draw the picture of lesson 12, the clipped value loss: `python docs/figures/lesson12_value_loss.py`.

It writes docs/course/images/lesson12_value_loss.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.loss import ppo_loss_backward, ppo_loss_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson12_value_loss.png"
CLIP, OLD, TARGET = 0.25, 0.0, 1.0
HEAD = ["V", "where", "loss", "slope", "slope without clipping"]
CASES = [(-0.5, "outside, moved away from R"), (0.2, "inside"), (0.5, "outside, nearer to R than Vc"),
         (1.5, "outside, passed R, nearer than Vc"), (2.0, "outside, passed R, farther than Vc")]  # fmt: skip


def loss_and_slope(value: float, clip_vloss: bool) -> tuple[float, float]:
    """The value loss of a minibatch of one row, and its derivative with respect to V."""
    values, zeros, terms = np.array([value]), np.zeros(1), np.empty(6)
    constants = zeros, np.array([OLD]), zeros, np.array([TARGET]), CLIP, 0.0, 1.0, clip_vloss, CLIP
    ppo_loss_forward(zeros, zeros, values, *constants, terms)
    dlogprobs, dentropies, dvalues = np.empty((3, 1))
    ppo_loss_backward(1.0, zeros, values, *constants, dlogprobs, dentropies, dvalues)
    return terms[2], dvalues[0]


def numbers() -> list[list[str]]:
    """Rows of the table."""
    rows = []
    for value, where in CASES:
        loss, slope = loss_and_slope(value, True)
        _, plain = loss_and_slope(value, False)
        rows.append([f"{value:g}", where, f"{loss:.5g}", f"{slope:.5g}", f"{plain:.5g}"])
    return rows


def draw() -> None:
    """Write the image."""
    values = np.linspace(-1, 2.5, 1401)
    clipped = np.array([loss_and_slope(value, True) for value in values])
    plain = np.array([loss_and_slope(value, False) for value in values])
    figure, (above, below) = plt.subplots(2, 1, figsize=(5, 5.6), layout="constrained", sharex=True)
    above.plot(values, plain[:, 0], "--", color="#d55e00", label="without clipping")
    above.plot(values, clipped[:, 0], "-", color="#0072b2", linewidth=2, label="with clipping")
    above.set(ylabel="loss", ylim=(0, 1.5))
    jumps = np.abs(np.diff(clipped[:, 1], prepend=clipped[0, 1])) > 0.1
    below.plot(values, plain[:, 1], "--", color="#d55e00", label="without clipping")
    below.plot(values, np.where(jumps, np.nan, clipped[:, 1]), "-", color="#0072b2", linewidth=2, label="with clipping")
    below.set(ylabel="slope", xlabel="V (the old value is 0, epsilon = 0.25)", ylim=(-1.6, 1.6))
    for axes in (above, below):
        axes.axvline(TARGET, color="#000000", linestyle=":")
        axes.axvspan(CLIP, 2 * TARGET - CLIP, facecolor="none", edgecolor="#999999", hatch="//", alpha=0.5)
        axes.legend(loc="lower left" if axes is above else "upper left", fontsize=8)
    box = {"facecolor": "white", "edgecolor": "none"}
    above.text(TARGET, 0.9, "R", ha="center", bbox=box)
    above.text(TARGET, 0.45, "flat", ha="center", bbox=box)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
