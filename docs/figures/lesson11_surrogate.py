"""Draw the picture of lesson 11, the six regions of the surrogate: `python docs/figures/lesson11_surrogate.py`.

It writes docs/course/images/lesson11_surrogate.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.loss import ppo_loss_backward, ppo_loss_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson11_surrogate.png"
CLIP = 0.25
HEAD = ["A", "ratio", "region", "loss", "gradient of log pi"]
REGIONS = ("below the range", "inside", "above the range")


def loss_and_gradient(ratio: float, advantage: float) -> tuple[float, float]:
    """The policy loss of a minibatch of one row, and its derivative with respect to log pi."""
    logprobs, zeros, terms = np.log([ratio]), np.zeros(1), np.empty(6)
    constants = zeros, zeros, np.array([advantage]), zeros, CLIP, 0.0, 0.0, False, CLIP
    ppo_loss_forward(logprobs, zeros, zeros, *constants, terms)
    dlogprobs, dentropies, dvalues = np.empty((3, 1))
    ppo_loss_backward(1.0, logprobs, zeros, *constants, dlogprobs, dentropies, dvalues)
    return terms[1], dlogprobs[0]


def numbers() -> list[list[str]]:
    """Rows of the table."""
    rows = []
    for advantage in (1.0, -1.0):
        for ratio, region in zip((0.5, 1.1, 1.5), REGIONS, strict=True):
            loss, slope = loss_and_gradient(ratio, advantage)
            rows.append([f"{advantage:g}", f"{ratio:g}", region, f"{loss:.2f}", f"{slope + 0.0:.2f}"])
    return rows


def draw() -> None:
    """Write the image."""
    ratios = np.linspace(0.3, 1.8, 601)
    figure, panels = plt.subplots(2, 1, figsize=(5, 5.6), layout="constrained", sharex=True)
    for axes, advantage in zip(panels, (1.0, -1.0), strict=True):
        both = np.array([loss_and_gradient(ratio, advantage) for ratio in ratios])
        axes.plot(ratios, both[:, 0], "-", color="#0072b2", linewidth=2, label="loss")
        slope = np.where(abs(abs(ratios - 1) - CLIP) < 2e-3, np.nan, both[:, 1])  # no vertical line at a jump
        axes.plot(ratios, slope, "--", color="#d55e00", label="gradient of log pi")
        for edge in (1 - CLIP, 1 + CLIP):
            axes.axvline(edge, color="#666666", linestyle=":")
        flat = (1 + CLIP, 1.8) if advantage > 0 else (0.3, 1 - CLIP)
        axes.axvspan(*flat, facecolor="none", edgecolor="#999999", hatch="//", alpha=0.5)
        axes.text(
            sum(flat) / 2,
            -0.6 if advantage > 0 else 0.35,
            "flat",
            ha="center",
            bbox={"facecolor": "white", "edgecolor": "none"},
        )
        axes.set(title=f"A = {advantage:g}", xlim=(0.3, 1.8))
        axes.legend(loc="lower left" if advantage > 0 else "upper left", fontsize=8)
    panels[1].set(xlabel="ratio (dotted lines: 1 - epsilon and 1 + epsilon, epsilon = 0.25)")
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
