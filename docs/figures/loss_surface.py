"""The policy loss around the old policy, over two logits of a policy of three actions: with the clip and without."""

import numpy as np

from docs.figures import style
from docs.figures.kernel_calls import CLIP, categorical
from kernels.loss import LOSS_TERMS, ppo_loss_backward, ppo_loss_forward

OLD = np.array([0.2, 0.0, -0.2])
ACTIONS = np.array([0, 0, 1, 1, 2, 2])
ADVANTAGES = np.array([1.5, 0.5, -1.0, -0.3, -0.8, -0.5])
NO_CLIP = 1e6
HEAD = ("change of logit 0", "change of logit 1", "loss without clip", "loss with clip", "rows without gradient")
POINTS = ((0.0, 0.0), (0.2, -0.2), (0.5, -0.5), (1.0, -1.0), (2.0, -2.0))


def losses(change: tuple[float, float], clip_coef: float) -> tuple[float, float]:
    """Policy loss of the minibatch, and the share of rows without gradient, if two logits of the state have changed."""
    rows = len(ACTIONS)
    logits, old = np.tile(OLD, (rows, 1)), np.tile(OLD, (rows, 1))
    logits[:, :2] += change
    logprobs, old_logprobs = categorical(logits, ACTIONS)[1], categorical(old, ACTIONS)[1]
    zeros, terms, (dlogprobs, dentropies, dvalues) = np.zeros(rows), np.zeros(6), np.empty((3, rows))
    inputs = zeros, old_logprobs, zeros, ADVANTAGES, zeros, clip_coef, 0.0, 0.0, False, clip_coef
    ppo_loss_forward(logprobs, zeros, *inputs, terms)
    ppo_loss_backward(1.0, logprobs, *inputs, dlogprobs, dentropies, dvalues)
    return terms[LOSS_TERMS.index("policy_loss")], float((dlogprobs == 0).mean())


def numbers() -> list[tuple]:
    """Rows of the table."""
    return [(f"{a:+.1f}", f"{b:+.1f}", losses((a, b), NO_CLIP)[0], *losses((a, b), CLIP)) for a, b in POINTS]


def draw():
    """The figure."""
    figure, axes = style.new(panels=2, height=4.0)
    side = np.linspace(-2, 2, 61)
    for ax, clip_coef, title in zip(axes, (NO_CLIP, CLIP), ("without clip", "with clip, ε = 0.2"), strict=True):
        results = np.array([[losses((a, b), clip_coef) for a in side] for b in side])
        lines = ax.contour(side, side, results[:, :, 0], levels=12, cmap="viridis", linewidths=1.2)
        ax.clabel(lines, fontsize=7)
        if clip_coef == CLIP:
            ax.contourf(side, side, results[:, :, 1] == 1, levels=(0.5, 1.5), hatches=["///"], colors="none")
            box = {"facecolor": "white", "linewidth": 0}
            ax.text(0.75, -1.2, "flat: all rows\nwithout gradient", fontsize=8, bbox=box)
        ax.plot(0, 0, "k+", markersize=11)
        ax.annotate("old policy", (0, 0), (6, 6), textcoords="offset points", fontsize=8)
        ax.set(title=title, xlabel="change of logit 0", ylabel="change of logit 1", aspect="equal")
        ax.set(xticks=range(-2, 3), yticks=range(-2, 3))
    return figure
