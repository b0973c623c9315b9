"""How much the error of a later step counts in an advantage, against lambda; and that an episode's end stops it."""

import numpy as np

from docs.figures import style
from kernels.advantage import gae

GAMMA, STEPS, END = 0.99, 25, 10
LAMBDAS = (0.0, 0.5, 0.9, 0.95, 1.0)
HEAD = ("lambda", "step 0", "step 1", "step 5", "step 10", "step 20", "step 20 if the episode ends at step 10")


def weights(gae_lambda: float, end: int | None = None) -> np.ndarray:
    """The weight of each step's error in the advantage of step 0, (STEPS,): A_0 of rewards that are 1 in one step only.

    Each column is an environment of its own, with values 0, so that the reward is the step's error.
    """
    rewards, final_values = np.eye(STEPS), np.zeros((STEPS, STEPS))
    terminations, truncations = np.zeros((2, STEPS, STEPS), bool)
    if end is not None:
        terminations[end] = True
    advantages, returns = np.empty((2, STEPS, STEPS))
    values = np.zeros((STEPS + 1, STEPS))
    gae(rewards, values, final_values, terminations, truncations, GAMMA, gae_lambda, advantages, returns)
    return advantages[0]


def numbers() -> list[tuple]:
    """Rows of the table."""
    places = [0, 1, 5, 10, 20]
    return [(f"{one:g}", *weights(one)[places], weights(one, END)[20]) for one in LAMBDAS]


def draw():
    """The figure."""
    figure, axes = style.new(panels=2)
    titles = ("episode goes on, γ = 0.99", f"episode ends at step {END}")
    for ax, end, title in zip(axes, (None, END), titles, strict=True):
        for number, gae_lambda in enumerate(LAMBDAS):
            marker = {"marker": "osD^v"[number], "markersize": 3, "linewidth": 1.2}
            style.line(ax, np.arange(STEPS), weights(gae_lambda, end), number, f"λ = {gae_lambda:g}", **marker)
        ax.set(title=title, xlabel="steps after the action", ylabel="weight of the error", ylim=(-0.03, 1.05))
    axes[1].axvline(END + 0.5, color="#999999", linewidth=0.7)
    axes[1].legend(loc="upper right")
    return figure
