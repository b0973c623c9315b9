"""The clipped value loss against the value: where it is flat, and that it is flat after an overshoot as well."""

import numpy as np

from docs.figures import style
from docs.figures.kernel_calls import CLIP, value_loss

TARGET = 0.5
HEAD = ("V", "value loss", "slope by V", "what has happened")
POINTS = (
    (-0.4, "moved away from R"),
    (0.1, "inside the clip range"),
    (0.4, "left the range, nearer to R than the clipped value: flat"),
    (0.7, "passed R, still nearer to R than the clipped value: flat"),
    (0.9, "passed R by more"),
)


def numbers() -> list[tuple]:
    """Rows of the table."""
    return [(f"{value:.1f}", *value_loss(value, TARGET), words) for value, words in POINTS]


def draw():
    """The figure."""
    figure, (ax,) = style.new(height=3.2)
    values = np.linspace(-0.6, 1.2, 361)
    results = np.array([value_loss(value, TARGET) for value in values])
    style.line(ax, values, [value_loss(value, TARGET, False)[0] for value in values], 1, "without clip", linewidth=1.1)
    style.line(ax, values, results[:, 0], 0, "clipped loss")
    flat = values[results[:, 1] == 0]
    ax.axvspan(flat.min(), flat.max(), hatch="///", facecolor="#eeeeee", edgecolor="#bbbbbb", linewidth=0)
    box = {"facecolor": "#eeeeee", "linewidth": 0, "pad": 1}
    ax.text(0.35, 0.25, "flat: on\nthe way", ha="center", fontsize=8, bbox=box)
    ax.text(0.65, 0.25, "flat:\novershoot", ha="center", fontsize=8, bbox=box)
    for place, name in ((-CLIP, "-ε"), (0, "old V"), (CLIP, "+ε"), (TARGET, "R")):
        ax.axvline(place, color="#999999", linewidth=0.7)
        ax.text(place, 1.02, name, transform=ax.get_xaxis_transform(), ha="center", fontsize=8)
    ax.set(xlabel="V, with old V = 0 and R = 0.5", ylabel="value loss of one row", xlim=(-0.6, 1.2), ylim=(-0.02, 0.6))
    ax.legend(loc="upper right")
    return figure
