"""What the advantage of step 0 is made of: `python docs/figures/lesson09_gae.py` draws it."""

from pathlib import Path

import numpy as np

from kernels.advantage import gae

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson09_gae.png"
HEAD = [
    "$\\lambda$",
    "$\\delta_0$",
    "$\\delta_1$",
    "$\\delta_2$",
    "$\\delta_3$",
    "$\\delta_4$",
    "$\\delta_5$",
    "$\\delta_6$",
    "$\\delta_7$",
]
GAMMA, STEPS, END = 0.9, 8, 5  # transition END is truncated
LAMBDAS = (0.0, 0.5, 0.9, 1.0)
STYLES = ("s:", "^-.", "o--", "D-")


def weights(gae_lambda):
    """How much each reward counts in A_0, from the kernel: with values of 0, A_0 is linear in the rewards."""
    counted = np.zeros(STEPS)
    values, final_values, nowhere = np.zeros((STEPS + 1, 1)), np.zeros((STEPS, 1)), np.zeros((STEPS, 1), bool)
    truncations = np.arange(STEPS)[:, np.newaxis] == END
    for t in range(STEPS):
        rewards, advantages, returns = (np.zeros((STEPS, 1)) for _ in range(3))
        rewards[t] = 1
        gae(rewards, values, final_values, nowhere, truncations, GAMMA, gae_lambda, advantages, returns)
        counted[t] = advantages[0, 0]
    return counted


def numbers():
    """Rows of the table."""
    return [[f"{x:.1f}", *(f"{w:.2f}" for w in weights(x))] for x in LAMBDAS]


def draw():
    """A timeline of two episodes; below it, the weights of the deltas for four values of lambda."""
    import matplotlib.pyplot as plt

    figure, (line, axes) = plt.subplots(
        2, 1, figsize=(6, 4.4), height_ratios=[1, 3], sharex=True, layout="constrained"
    )  # fmt: skip
    for t in range(STEPS):
        line.annotate("", (t + 0.45, 0), (t - 0.4, 0), arrowprops={"arrowstyle": "->"})
        line.text(t, 0.14, f"$r_{t}$", ha="center")
    line.plot([END + 0.5] * 2, [-0.5, 0.5], color="tab:blue", linewidth=3)
    line.text(END + 0.42, -0.55, "truncated: $V$(last observation)", ha="right", color="tab:blue", fontsize=9)
    line.text(END + 0.58, -0.55, "next episode", fontsize=9)
    line.set(ylim=(-0.75, 0.6))
    line.axis("off")
    for gae_lambda, style in zip(LAMBDAS, STYLES, strict=True):
        axes.plot(weights(gae_lambda), style, label=f"$\\lambda$ = {gae_lambda}", markersize=5)
    axes.axvline(END + 0.5, color="tab:blue", linewidth=3)
    axes.set(xlabel="step t", ylabel="weight of $\\delta_t$ in $A_0$", xlim=(-0.6, STEPS - 0.4))
    axes.legend(fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGE, dpi=90)


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
