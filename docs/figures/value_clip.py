"""The clipped value loss of one row against the new value, with its flat part, which an overshoot can reach."""

import numpy as np

from docs.figures.calls import loss_and_slopes
from docs.figures.style import BLACK, BLUE, GREY, ORANGE, new, number

OLD, TARGET, CLIP = 0.0, 0.5, 0.2


def row(value: float, clip: bool = True) -> tuple[float, float]:
    """Value loss of one row, and its derivative with respect to the value."""
    settings = {"values": value, "old_values": OLD, "returns": TARGET, "clip_coef": CLIP, "clip_vloss": clip}
    _, loss, _, dvalues = loss_and_slopes(**settings)
    return loss, dvalues[0]


def table() -> list[list[str]]:
    """Losses and slopes on both sides of each border."""
    lines = [["new value", "where it is", "loss with clip", "slope with clip", "slope without"]]
    for value, where in [
        (-0.4, "moved away from the return by more than the clip range"),
        (0.1, "inside the clip range"),
        (0.4, "outside, nearer to the return than the clipped value: flat"),
        (0.6, "overshot, still nearer to the return than the clipped value: flat"),
        (1.0, "overshot by more: pulled back"),
    ]:
        lines.append([number(value, 1), where, *map(number, row(value)), number(row(value, clip=False)[1])])
    return lines


def draw():
    """The loss on the left, the slope on the right."""
    figure, (left, right) = new(2)
    values = np.linspace(-0.5, 1.1, 321)
    clipped = np.array([row(value) for value in values]).T
    plain = np.array([row(value, clip=False) for value in values]).T
    slopes = clipped[1].copy()
    slopes[np.flatnonzero(np.abs(np.diff(slopes)) > 0.1)] = np.nan
    left.plot(values, clipped[0], color=BLUE, linewidth=2, label="with value clip")
    left.plot(values, plain[0], color=ORANGE, linewidth=1.4, linestyle="--", label="without")
    right.plot(values, slopes, color=BLUE, linewidth=2, label="with value clip")
    right.plot(values, plain[1], color=ORANGE, linewidth=1.4, linestyle="--", label="without")
    for ax, title in ((left, "value loss of the row"), (right, "its slope")):
        flat = OLD + CLIP, TARGET + abs(OLD + CLIP - TARGET)
        ax.axvspan(*flat, facecolor="#eeeeee", edgecolor=GREY, hatch="//", linewidth=0)
        for place, name in ((OLD, "old value"), (TARGET, "return")):
            ax.axvline(place, color=GREY, linewidth=0.8, linestyle=":")
            ax.annotate(
                name, (place, 0.98), xycoords=("data", "axes fraction"), ha="right", va="top", rotation=90, color=BLACK
            )
        ax.set_title(title)
        ax.set_xlabel("new value")
        ax.legend(frameon=True, loc="upper center" if ax is left else "lower right")
    left.set_ylim(-0.02, 0.52)
    return figure
