"""The clipped surrogate of one row and its slope, against the ratio, for a good and for a bad action."""

import numpy as np

from docs.figures.calls import loss_and_slopes
from docs.figures.style import BLACK, BLUE, GREY, ORANGE, new, number

CLIP = 0.2


def row(ratio: float, advantage: float) -> tuple[float, float]:
    """Policy loss of one row, and its derivative with respect to the new log-probability."""
    loss, _, dlogprobs, _ = loss_and_slopes(np.log(ratio), advantages=advantage, clip_coef=CLIP)
    return loss, dlogprobs[0]


def table() -> list[list[str]]:
    """Loss and slope in each of the six regions."""
    lines = [["advantage", "ratio", "loss of the row", "slope by log-probability"]]
    for advantage in (1.0, -1.0):
        numbers = ((ratio, *row(ratio, advantage)) for ratio in (0.5, 1.0, 1.5))
        lines += [[f"{advantage:+.0f}", *map(number, three)] for three in numbers]
    return lines


def draw():
    """Two panels: advantage 1 and advantage -1."""
    figure, axes = new(2)
    ratios = np.linspace(0.02, 2.0, 397)
    for ax, advantage, flat in zip(axes, (1.0, -1.0), ((1 + CLIP, 2), (0, 1 - CLIP)), strict=True):
        losses, slopes = np.array([row(ratio, advantage) for ratio in ratios]).T
        # The slope jumps: a gap there, and no line that is not its.
        slopes[np.flatnonzero(np.abs(np.diff(slopes)) > 0.1)] = np.nan
        ax.axvspan(*flat, facecolor="#eeeeee", edgecolor=GREY, hatch="//", linewidth=0)
        ax.axvline(1, color=GREY, linewidth=0.8, linestyle=":")
        ax.plot(ratios, losses, color=BLUE, linewidth=2, label="loss of the row")
        ax.plot(ratios, slopes, color=ORANGE, linewidth=1.6, linestyle="--", label="slope by log-probability")
        ax.text(np.mean(flat), -0.25 * advantage, "flat", ha="center", color=BLACK, backgroundcolor="white")
        ax.set_title(f"advantage {advantage:+.0f}: a {'good' if advantage > 0 else 'bad'} action")
        ax.set_xlabel("ratio, new probability by old")
        ax.set_xlim(0, 2)
        ax.legend(frameon=True, loc="lower left" if advantage > 0 else "upper left")
    return figure
