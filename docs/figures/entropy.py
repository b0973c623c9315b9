"""The entropy of three actions over all their probabilities, and where the entropy bonus pushes."""

import numpy as np

from docs.figures.calls import categorical, dlogits
from docs.figures.style import BLACK, ORANGE, new, number

POINTS = [(1 / 3, 1 / 3, 1 / 3), (0.5, 0.3, 0.2), (0.6, 0.35, 0.05), (0.8, 0.1, 0.1), (0.98, 0.01, 0.01)]
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])


def entropy_and_slopes(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entropies (B,) and their gradient with respect to the logits (B, 3), of probabilities (B, 3)."""
    logits = np.log(probabilities)
    actions = np.zeros(len(logits), np.int64)
    nothing, ones = np.zeros(len(logits)), np.ones(len(logits))
    return categorical(logits, actions)[2], dlogits(logits, actions, nothing, ones)


def table() -> list[list[str]]:
    """Entropies and slopes of some policies."""
    lines = [["probabilities", "entropy", "slope by each logit"]]
    for point, entropy, slope in zip(POINTS, *entropy_and_slopes(np.array(POINTS)), strict=True):
        lines.append([", ".join(number(p) for p in point), number(entropy), ", ".join(number(s) for s in slope)])
    return lines


def grid(parts: int) -> np.ndarray:
    """Probabilities (n, 3) on a triangular grid inside the simplex."""
    pairs = [(i, j) for i in range(1, parts) for j in range(1, parts - i)]
    first, second = np.array(pairs).T / parts
    return np.stack([first, second, 1 - first - second], axis=1)


def draw():
    """Contours of the entropy in the triangle; arrows from the gradient with respect to the logits."""
    figure, (ax,) = new(width=5.2, height=4.4)
    fine, coarse = grid(90), grid(12)
    x, y = (fine @ CORNERS).T
    levels = [0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.05]
    lines = ax.tricontour(x, y, entropy_and_slopes(fine)[0], levels, cmap="viridis")
    ax.clabel(lines, fmt="%g", fontsize=7, colors=BLACK)
    slope = entropy_and_slopes(coarse)[1]
    # A step along the slope changes p_k by p_k (slope_k - sum_j p_j slope_j).
    change = coarse * (slope - (coarse * slope).sum(axis=1, keepdims=True))
    ax.quiver(*(coarse @ CORNERS).T, *(change @ CORNERS).T, color=ORANGE, scale=1.2, width=0.004)
    ax.fill(*CORNERS.T, fill=False, edgecolor=BLACK, linewidth=1)
    ax.plot(*CORNERS.mean(axis=0), "ko", markersize=4)
    for corner, name, shift in zip(CORNERS, "012", [(-0.02, -0.07), (0.02, -0.07), (0, 0.03)], strict=True):
        ax.text(*(corner + shift), f"always action {name}", ha="center")
    ax.set_title("entropy of three actions; arrows: where the bonus pushes", pad=14)
    ax.set_aspect("equal")
    ax.axis("off")
    return figure
