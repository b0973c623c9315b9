"""How much of each later one-step error enters an advantage, for several lambda, and at the end of an episode."""

import numpy as np

from docs.figures.calls import gae
from docs.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, new, number

GAMMA, STEPS, END = 0.99, 31, 12
LAMBDAS = (0.0, 0.5, 0.9, 0.95, 1.0)
STYLES = dict(
    zip(
        LAMBDAS,
        [(GREY, ":", "o"), (GREEN, "-.", "^"), (ORANGE, "--", "s"), (BLUE, "-", "D"), (BLACK, "-", "v")],
        strict=True,
    )
)


def weights(gae_lambda: float, terminated_at: int | None = None) -> np.ndarray:
    """The share of the error of step i in the advantage of step 0, (STEPS,): rewards of 1 at one step at a time.

    The values are 0, so a reward of 1 at step i is an error of 1 at step i and nowhere else.
    """
    return np.array([gae(reward, np.zeros(STEPS + 1), GAMMA, gae_lambda, terminated_at)[0] for reward in np.eye(STEPS)])


def table() -> list[list[str]]:
    """Weights of some steps, one line a lambda; then with an episode that ends."""
    steps = [0, 1, 5, 10, 20, 30]
    lines = [["lambda", *(f"step {step}" for step in steps)]]
    lines += [[str(one), *(number(weights(one)[step]) for step in steps)] for one in LAMBDAS]
    ended = weights(0.95, END)
    return [*lines, [f"0.95, terminal after step {END}", *(number(ended[step]) for step in steps)]]


def draw():
    """Left: a line a lambda. Right: the same 0.95 with and without the end of an episode."""
    figure, (left, right) = new(2)
    for one, (colour, dashes, marker) in STYLES.items():
        left.plot(
            weights(one), color=colour, linestyle=dashes, marker=marker, markevery=5, markersize=4, label=f"λ = {one:g}"
        )
    left.set_title(f"weight of the error of step i in the advantage of step 0 (γ = {GAMMA})", fontsize=8)
    left.legend(frameon=False, ncols=2, loc=(0.45, 0.28))
    right.vlines(range(STEPS), 0, weights(0.95), color=GREY, linewidth=1.2, linestyle=":", label="no end")
    right.vlines(range(STEPS), 0, weights(0.95, END), color=PURPLE, linewidth=3, label=f"end after step {END}")
    right.axvline(END + 0.5, color=BLACK, linewidth=1, linestyle="--")
    right.set_title("λ = 0.95: nothing comes from behind an episode's end", fontsize=8)
    right.legend(frameon=False)
    for ax in (left, right):
        ax.set_xlabel("step i")
        ax.set_ylim(0, 1.05)
    return figure
