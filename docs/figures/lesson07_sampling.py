"""From a uniform number to an action: `python docs/figures/lesson07_sampling.py` draws it."""

from pathlib import Path

import numpy as np

from kernels.categorical import categorical_sample

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson07_sampling.png"
HEAD = ["action", "$p$", "its piece of $[0, 1)$", "$u$ in the picture"]
PROBS = np.array([0.1, 0.4, 0.2, 0.3])
UNIFORMS = np.array([0.05, 0.3, 0.55, 0.93])


def drawn(uniforms):
    """The actions of the kernel for these uniform numbers."""
    logits = np.tile(np.log(PROBS), (len(uniforms), 1))
    actions, logprobs = np.empty(len(uniforms), np.int64), np.empty(len(uniforms))
    categorical_sample(logits, uniforms, np.empty_like(logits), actions, logprobs)
    return actions


def numbers():
    """Rows of the table."""
    ends = np.cumsum(PROBS)
    rows = []
    for u, k in zip(UNIFORMS, drawn(UNIFORMS), strict=True):
        piece = f"{ends[k] - PROBS[k]:.1f} to {ends[k]:.1f}"
        rows.append([f"{k}", f"{PROBS[k]:.1f}", piece, f"{u:.2f}"])
    return rows


def draw():
    """The steps of the cumulative distribution, and four arrows from u to the step that it meets."""
    import matplotlib.pyplot as plt

    ends = np.cumsum(PROBS)
    figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    for k, end in enumerate(ends):
        axes.hlines(end, k, k + 1, color="black", linewidth=2)
        axes.vlines(k, end - PROBS[k], end, color="black", linewidth=2)
    for u, k in zip(UNIFORMS, drawn(UNIFORMS), strict=True):
        axes.annotate("", (k, u), (-0.5, u), arrowprops={"arrowstyle": "->", "color": "tab:blue"})
        axes.annotate("", (k, 0), (k, u), arrowprops={"arrowstyle": "->", "color": "tab:blue", "linestyle": "--"})
        axes.text(-0.55, u, f"u = {u}", ha="right", va="center")
    axes.set(xlim=(-1.4, 4), ylim=(0, 1.05), ylabel="cumulative probability")
    axes.set_xticks(range(4), [f"action {k}\np = {p}" for k, p in enumerate(PROBS)])
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGE, dpi=90)


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
