"""Draw the picture of lesson 5, softmax of shifted logits: `python docs/figures/lesson05_log_softmax.py`.

It writes docs/course/images/lesson05_log_softmax.png and prints the table of the page.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from kernels.categorical import log_softmax

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson05_log_softmax.png"
STEPS = np.array([0.0, 1.0, 2.0])  # the logits are c, c + 1, c + 2
RIGHT = -np.log(np.exp(STEPS - 2).sum())  # log p of the last action
HEAD = ["c", "with the maximum", "without, float64", "without, float32"]


def with_maximum(c: float) -> float:
    """log p of the last action, by the kernel."""
    log_probs = np.empty((1, 3))
    log_softmax(c + STEPS[np.newaxis], log_probs)
    return float(log_probs[0, 2])


def without(c: float, dtype: type) -> float:
    """log p of the last action, by l - log sum exp(l) as it stands."""
    logits = (c + STEPS).astype(dtype)
    with np.errstate(all="ignore"):
        return float(logits[2] - np.log(np.exp(logits).sum()))


def numbers() -> list[list[str]]:
    """Rows of the table."""
    rows = []
    for c in (-1000.0, -200.0, 0.0, 50.0, 100.0, 1000.0):
        values = (with_maximum(c), without(c, np.float64), without(c, np.float32))
        rows.append([f"{c:g}", *(f"{value:.3f}" for value in values)])
    return rows


def draw() -> None:
    """Write the image."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(5, 5), layout="constrained", height_ratios=(1.2, 1))
    for number, (c, colour, hatch) in enumerate(((0.0, "#0072b2", ""), (100.0, "#d55e00", "///"))):
        log_probs = np.empty((1, 3))
        log_softmax(c + STEPS[np.newaxis], log_probs)
        places = np.arange(3) + 0.4 * number
        label = ", ".join(f"{value:g}" for value in c + STEPS)
        bars = above.bar(places, np.exp(log_probs[0]), 0.38, label=f"logits {label}", hatch=hatch, facecolor="white",
                         edgecolor=colour)  # fmt: skip
        above.bar_label(bars, fmt="%.3f", fontsize=8)
    above.set(title="100 added to all logits", ylabel="p", ylim=(0, 0.85))
    above.set_xticks(np.arange(3) + 0.2, ["action 0", "action 1", "action 2"])
    above.legend(loc="upper left", fontsize=8)
    shifts = np.arange(-1000.0, 1001.0, 2.0)
    ways = {"with the maximum": with_maximum, "without, float64": lambda c: without(c, np.float64),
            "without, float32": lambda c: without(c, np.float32)}  # fmt: skip
    for row, way in enumerate(ways.values()):
        right = [c for c in shifts if abs(way(c) - RIGHT) < 0.01]
        below.barh(-row, right[-1] - right[0], 0.6, right[0], facecolor="white", edgecolor="#0072b2", hatch="///")
        below.text(0, -row, f"{right[0]:g} to {right[-1]:g}", ha="center", va="center", fontsize=8,
                   bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    below.set(title="where log p is right within 0.01", xlabel="c, the smallest logit")
    below.set_yticks([0, -1, -2], list(ways))
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=120)
    Image.open(IMAGE).convert("RGB").quantize(48).save(IMAGE, optimize=True)  # a small file


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
