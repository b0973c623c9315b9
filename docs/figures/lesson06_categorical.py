"""The entropy of three probabilities and its gradient: `python docs/figures/lesson06_categorical.py` draws it."""

from pathlib import Path

import numpy as np

from kernels.categorical import categorical_backward, categorical_forward

IMAGE = Path(__file__).parents[1] / "course" / "images" / "lesson06_categorical.png"
HEAD = [
    "$p$",
    "$H$",
    "$\\partial H/\\partial\\ell_0$",
    "$\\partial H/\\partial\\ell_1$",
    "$\\partial H/\\partial\\ell_2$",
]
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])  # where p_0, p_1 and p_2 are 1
SHOWN = np.array([[1, 1, 1], [2, 1, 1], [6, 2, 1], [18, 1, 1]])  # weights of the probabilities in the table


def entropy_and_gradient(probs):
    """H (B,) and dH/dl (B, K) of probabilities (B, K), from the kernels."""
    logits, actions = np.log(probs), np.zeros(len(probs), np.int64)
    log_probs, dlogits = np.empty((2, *probs.shape))
    logprobs, entropies = np.empty((2, len(probs)))
    categorical_forward(logits, actions, log_probs, logprobs, entropies)
    categorical_backward(np.zeros(len(probs)), np.ones(len(probs)), actions, log_probs, entropies, dlogits)
    return entropies, dlogits


def inner_points(steps):
    """Probabilities (B, 3) in steps of 1 / steps, none of them 0."""
    return np.array([(i, j, steps - i - j) for i in range(1, steps) for j in range(1, steps - i)]) / steps


def numbers():
    """Rows of the table."""
    probs = SHOWN / SHOWN.sum(axis=1, keepdims=True)
    entropies, dlogits = entropy_and_gradient(probs)
    rows = []
    for p, entropy, slope in zip(probs, entropies, dlogits + 0.0, strict=True):
        rows.append(
            [
                f"({', '.join(f'{x:.2f}' for x in p)})",
                f"{entropy:.3f}",
                *(f"{round(x, 3) + 0.0:.3f}" for x in slope),
            ]
        )
    return rows


def draw():
    """Contours of the entropy over the triangle of probabilities; arrows show how p moves when l follows dH/dl."""
    import matplotlib.pyplot as plt

    grid, starts = inner_points(60), inner_points(9)
    figure, axes = plt.subplots(figsize=(5, 4.4), layout="constrained")
    x, y = (grid @ CORNERS).T
    lines = axes.tricontour(x, y, entropy_and_gradient(grid)[0], levels=[0.3, 0.6, 0.8, 0.95, 1.07], colors="0.3")
    axes.clabel(lines, fmt="H = %.2f", fontsize=8)
    slopes = entropy_and_gradient(starts)[1]
    moved = starts * (slopes - (starts * slopes).sum(axis=1, keepdims=True))  # dp = p (dl - mean of dl)
    axes.quiver(*(starts @ CORNERS).T, *(moved @ CORNERS).T, angles="xy", width=0.006, color="tab:blue", scale=1.3)
    axes.add_patch(plt.Polygon(CORNERS, fill=False, linewidth=1.5))
    for k, (corner, place) in enumerate(zip(CORNERS, [(-0.09, -0.05), (0.0, -0.05), (-0.05, 0.02)], strict=True)):
        axes.text(*(corner + place), f"$p_{k} = 1$", fontsize=11)
    axes.set(xlim=(-0.12, 1.14), ylim=(-0.08, 0.95), aspect="equal")
    axes.axis("off")
    figure.savefig(IMAGE, dpi=90)


if __name__ == "__main__":
    draw()
    for row in [HEAD, ["---"] * len(HEAD), *numbers()]:
        print(f"| {' | '.join(row)} |")
