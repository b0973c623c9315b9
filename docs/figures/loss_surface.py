"""The policy loss around the old policy, over two of three logits, with and without the clip."""

import numpy as np

from docs.figures.calls import categorical, loss_and_slopes
from docs.figures.style import BLACK, BLUE, ORANGE, new, number

# Three rows, one of each action: what a uniform old policy collects on average.
ACTIONS, ADVANTAGES, OLD = np.arange(3), np.array([1.0, 0.2, -1.2]), np.full(3, -np.log(3.0))
CLIP, NO_CLIP = 0.2, 1e9
PLACES = [(0.0, 0.0), (0.2, 0.0), (0.5, 0.0), (1.5, 0.0), (1.5, 1.0), (-1.0, 0.0)]


def loss_at(first: float, second: float, clip_coef: float) -> float:
    """Policy loss with logits (first, second, 0)."""
    logits = np.tile(np.array([first, second, 0.0]), (3, 1))
    logprobs = categorical(logits, ACTIONS)[1]
    return loss_and_slopes(logprobs, old_logprobs=OLD, advantages=ADVANTAGES, clip_coef=clip_coef)[0]


def table() -> list[list[str]]:
    """The loss at some logits, with and without clip."""
    lines = [["logits", "loss with clip", "loss without"]]
    for first, second in PLACES:
        losses = (number(loss_at(first, second, clip)) for clip in (CLIP, NO_CLIP))
        lines.append([f"{first:g}, {second:g}, 0", *losses])
    return lines


def draw():
    """Contours of both losses over the same logits."""
    figure, axes = new(2, height=3.6)
    logits = np.linspace(-2, 3, 51)
    levels = np.arange(-0.65, 0.66, 0.05)
    for ax, clip, title in zip(
        axes, (NO_CLIP, CLIP), ("without clip: lower and lower", "with clip: nothing gained beyond"), strict=True
    ):
        losses = np.array([[loss_at(first, second, clip) for first in logits] for second in logits])
        lines = ax.contour(logits, logits, losses, levels, colors=[BLUE if level < 0 else ORANGE for level in levels],
                           linewidths=0.9)  # fmt: skip
        ax.clabel(lines, lines.levels[::2], fmt="%.1f", fontsize=7, colors=BLACK)
        ax.plot(0, 0, "k*", markersize=11)
        ax.annotate("old policy", (0, 0), (6, -12), textcoords="offset points")
        ax.set_title(title)
        ax.set_xlabel("logit of the good action")
        ax.set_ylabel("logit of the action with A = 0.2")
    return figure
