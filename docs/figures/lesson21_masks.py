"""A row of four actions with and without a mask: `python docs/figures/lesson21_masks.py` draws it."""

from pathlib import Path

import numpy as np

from kernels.masked_categorical import masked_categorical_backward, masked_categorical_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson21_masks.png"
HEAD = [
    "action",
    "valid",
    "$p$, no mask",
    "$p$, mask",
    "$\\partial\\log\\pi/\\partial\\ell$, no mask",
    "$\\partial\\log\\pi/\\partial\\ell$, mask",
]
LOGITS = np.log([[1.0, 4.0, 2.0, 3.0]])
MASK = np.array([[1, 0, 1, 1]], np.int8)
ACTION = np.array([2])


def probs_and_slopes(mask):
    """p and d log pi / d l of the row, (K,) each, from the kernels."""
    log_probs, dlogits = np.empty((2, *LOGITS.shape))
    logprobs, entropies = np.empty((2, 1))
    masked_categorical_forward(LOGITS, mask, ACTION, log_probs, logprobs, entropies)
    masked_categorical_backward(np.ones(1), np.zeros(1), mask, ACTION, log_probs, entropies, dlogits)
    return np.exp(log_probs[0]), dlogits[0] + 0.0  # not -0.0


def numbers():
    """Rows of the table."""
    (p_all, slope_all), (p, slope) = probs_and_slopes(np.ones_like(MASK)), probs_and_slopes(MASK)
    valid = ["yes" if allowed else "no" for allowed in MASK[0]]
    columns = zip(range(p.size), valid, p_all, p, slope_all, slope, strict=True)
    return [[str(k), word, *(f"{number:.3f}" for number in row)] for k, word, *row in columns]


def draw():
    """Two panels of bars: the probabilities, and the derivative of log pi, without and with the mask."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
    k = np.arange(MASK.size)
    for place, name, mask, style in (
        (-0.2, "no mask", np.ones_like(MASK), {"color": "white", "edgecolor": "0.3", "hatch": "//"}),
        (0.2, "mask", MASK, {"color": "#0072b2", "edgecolor": "#0072b2"}),
    ):
        for axes, heights in zip(panels, probs_and_slopes(mask), strict=True):
            axes.bar(k + place, heights, 0.38, label=name, **style)
    for axes, title in zip(panels, ("$p$", "$\\partial\\log\\pi / \\partial\\ell$"), strict=True):
        axes.axhline(0, color="0.3", linewidth=1)
        axes.set_xticks(k, ["0", "1\ninvalid", "2\ntaken", "3"])
        axes.set(xlabel="action", title=title)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False)
    figure.savefig(IMAGE, dpi=90)


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
