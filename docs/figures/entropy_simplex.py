"""The entropy of three actions over all their probabilities, and where its gradient by the logits pushes."""

import numpy as np

from docs.figures import style
from docs.figures.kernel_calls import categorical, logits_gradient

HEAD = ("p", "entropy", "gradient by the logits")
POINTS = ((1 / 3, 1 / 3, 1 / 3), (0.5, 0.25, 0.25), (0.6, 0.3, 0.1), (0.9, 0.05, 0.05), (0.98, 0.01, 0.01))
CORNERS = np.array([(0.0, 0.0), (1.0, 0.0), (0.5, np.sqrt(3) / 2)])


def grid(parts: int) -> np.ndarray:
    """Probabilities (B, 3) of a triangular grid inside the simplex; none is 0."""
    steps = [(i, j, parts - i - j) for i in range(1, parts) for j in range(1, parts - i)]
    return np.array(steps) / parts


def entropies(probabilities: np.ndarray) -> np.ndarray:
    """H (B,) of probabilities (B, 3)."""
    return categorical(np.log(probabilities), np.zeros(len(probabilities), int))[2]


def gradients(probabilities: np.ndarray) -> np.ndarray:
    """Gradient of H with respect to the logits, (B, 3)."""
    rows = len(probabilities)
    return logits_gradient(np.log(probabilities), np.zeros(rows, int), np.zeros(rows), np.ones(rows))


def numbers() -> list[tuple]:
    """Rows of the table."""
    points = np.array(POINTS)
    words = [", ".join(f"{number:.2f}" for number in point) for point in points]
    slopes = [", ".join(f"{number + 0.0:.3f}".replace("-0.000", "0.000") for number in g) for g in gradients(points)]
    return list(zip(words, entropies(points), slopes, strict=True))


def draw():
    """The figure."""
    figure, (ax,) = style.new(height=4.4)
    fine = grid(90)
    x, y = (fine @ CORNERS).T
    lines = ax.tricontour(x, y, entropies(fine), levels=(0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.05, 1.09), cmap="viridis_r")
    ax.clabel(lines, fontsize=8)
    coarse = grid(11)
    pushes = gradients(coarse)
    # How p moves if the logits move along the gradient: dp = p (dl - sum_j p_j dl_j).
    moves = coarse * (pushes - (coarse * pushes).sum(axis=1, keepdims=True))
    ax.quiver(*(coarse @ CORNERS).T, *(moves @ CORNERS).T, color="#555555", width=0.004)
    ax.plot(*CORNERS[[0, 1, 2, 0]].T, color="black", linewidth=1)
    for corner, name, side in zip(
        CORNERS, ("always\naction 0", "always\naction 1", "always action 2"), (-1, -1, 1), strict=True
    ):
        ax.annotate(name, corner, (0, 12 * side), textcoords="offset points", ha="center", va="center", fontsize=9)
    ax.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.14, 0.98))
    ax.axis("off")
    return figure
