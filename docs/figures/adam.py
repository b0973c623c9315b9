"""Adam and plain gradient steps on a valley that is 50 times steeper across than along."""

import numpy as np

from docs.figures.style import BLACK, BLUE, GREY, ORANGE, new, number
from kernels.optimizer import adam

SCALES, START, STEPS = np.array([1.0, 50.0]), np.array([-2.0, 0.8]), 60
PLAIN_RATE, ADAM_RATE = 0.036, 0.1


def loss(place: np.ndarray) -> float:
    """Half the sum of scale times square."""
    return float(0.5 * SCALES @ place**2)


def plain_path() -> np.ndarray:
    """Places (STEPS + 1, 2) of plain steps against the gradient."""
    places = [START]
    for _ in range(STEPS):
        places.append(places[-1] - PLAIN_RATE * SCALES * places[-1])
    return np.array(places)


def adam_path(scales: np.ndarray = SCALES) -> np.ndarray:
    """Places (STEPS + 1, 2) of the kernel `adam`, with the same start."""
    place, m, v = START.copy(), np.zeros(2), np.zeros(2)
    places = [START]
    for step in range(1, STEPS + 1):
        adam(place, scales * place, m, v, step, ADAM_RATE, 0.9, 0.999, 1e-5)
        places.append(place.copy())
    return np.array(places)


def table() -> list[list[str]]:
    """Losses after some steps; the last column has a loss that is 1,000 times larger."""
    lines = [["step", "loss, plain steps", "loss, Adam", "Adam's place", "Adam's place, loss times 1,000"]]
    plain, ours, scaled = plain_path(), adam_path(), adam_path(1000 * SCALES)
    for step in (0, 1, 5, 20, 40, 60):
        places = (", ".join(number(x, 2) for x in path[step]) for path in (ours, scaled))
        lines.append([str(step), number(loss(plain[step])), number(loss(ours[step])), *places])
    return lines


def draw():
    """Left: both paths over the contours. Right: the losses."""
    figure, (left, right) = new(2)
    x, y = np.meshgrid(np.linspace(-2.4, 0.9, 80), np.linspace(-1, 1, 80))
    left.contour(
        x, y, 0.5 * (SCALES[0] * x**2 + SCALES[1] * y**2), [0.05, 0.5, 2, 6, 12, 20], colors=GREY, linewidths=0.7
    )
    for path, name, colour, dashes, marker in [
        (plain_path(), f"plain steps, rate {PLAIN_RATE}", ORANGE, "--", "o"),
        (adam_path(), f"Adam, rate {ADAM_RATE}", BLUE, "-", "s"),
    ]:
        left.plot(*path.T, color=colour, linestyle=dashes, linewidth=1.2, marker=marker, markersize=2.5, label=name)
        losses = [loss(place) for place in path]
        right.semilogy(losses, color=colour, linestyle=dashes, marker=marker, markevery=10, markersize=4, label=name)
    left.plot(0, 0, "k*", markersize=9)
    left.annotate("minimum", (0, 0), (4, 8), textcoords="offset points", color=BLACK)
    left.set_title("paths on the loss surface")
    right.set_title("loss")
    right.set_xlabel("step")
    right.legend(frameon=False)
    return figure
