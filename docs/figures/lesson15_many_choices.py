"""Draw the picture of lesson 15, two choices as one: `python docs/figures/lesson15_many_choices.py`.

It writes docs/course/images/lesson15_many_choices.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from PIL import Image

from kernels.categorical import log_softmax

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson15_many_choices.png"
LOGITS = np.log([3.0, 1.0]), np.log([2.0, 1.0, 1.0])  # the first row that the page works by hand
HEAD = ["", "second choice 0", "second choice 1", "second choice 2", "sum: p of the first choice"]


def log_probs() -> list[np.ndarray]:
    """log p of each choice, (2,) and (3,)."""
    found = []
    for logits in LOGITS:
        out = np.empty((1, len(logits)))
        log_softmax(logits[np.newaxis], out)
        found.append(out[0])
    return found


def joint() -> np.ndarray:
    """Probability of each pair of choices, (2, 3): the logarithms are added."""
    first, second = log_probs()
    return np.exp(first[:, np.newaxis] + second)


def numbers() -> list[list[str]]:
    """Rows of the table."""
    p = joint()
    rows = [[f"first choice {i}", *(f"{x:.4f}" for x in row), f"{row.sum():.2f}"] for i, row in enumerate(p)]
    return [*rows, ["sum: p of the second choice", *(f"{x:.2f}" for x in p.sum(axis=0)), f"{p.sum():.2f}"]]


def draw() -> None:
    """Write the image: each rectangle has the area of its probability."""
    p = joint()
    widths, heights = p.sum(axis=0), p.sum(axis=1)
    figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for i, j in np.ndindex(p.shape):
        left, low = widths[:j].sum(), 1 - heights[: i + 1].sum()
        taken = (i, j) == (0, 1)
        style = {"hatch": "//", "linewidth": 2.5} if taken else {"linewidth": 1}
        axes.add_patch(Rectangle((left, low), widths[j], heights[i], facecolor="white", edgecolor="#0072b2", **style))
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(left + widths[j] / 2, low + heights[i] / 2, f"{p[i, j]:.4f}", ha="center", va="center", bbox=box)
    middles = np.cumsum(widths) - widths / 2
    axes.set_xticks(middles, [f"choice {j}\np = {w:g}" for j, w in enumerate(widths)])
    axes.set_yticks(1 - (np.cumsum(heights) - heights / 2), [f"choice {i}\np = {h:g}" for i, h in enumerate(heights)])
    axes.tick_params(length=0)
    axes.set(xlabel="second choice", ylabel="first choice", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.spines[:].set_visible(False)
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
