"""The clipped surrogate against the ratio, region by region, for a good and for a bad action."""

import numpy as np

from docs.figures import style
from docs.figures.kernel_calls import CLIP, policy_loss

HEAD = ("A", "ratio", "policy loss", "slope by ratio", "slope by log pi")
EDGES = ((0.4, 1 - CLIP), (1 - CLIP, 1 + CLIP), (1 + CLIP, 1.6))


def numbers() -> list[tuple]:
    """Rows of the table: one for each region."""
    rows = []
    for advantage in (1.0, -1.0):
        for ratio in (0.6, 1.0, 1.4):
            loss, slope = policy_loss(ratio, advantage)
            rows.append((f"{advantage:+.0f}", f"{ratio:.1f}", loss, slope / ratio, slope))
    return rows


def draw():
    """The figure."""
    figure, axes = style.new(panels=2)
    ratios = np.linspace(0.4, 1.6, 241)
    for ax, advantage in zip(axes, (1.0, -1.0), strict=True):
        style.line(ax, ratios, [policy_loss(r, advantage, 1e6)[0] for r in ratios], 1, "without clip", linewidth=1.1)
        style.line(ax, ratios, [policy_loss(r, advantage)[0] for r in ratios], 0, "clipped loss")
        for low, high in EDGES:
            flat = policy_loss((low + high) / 2, advantage)[1] == 0
            hatch = {"hatch": "///", "facecolor": "#eeeeee", "edgecolor": "#bbbbbb"} if flat else {"facecolor": "none"}
            ax.axvspan(low, high, linewidth=0, **hatch)
            text = "flat: no gradient" if flat else f"slope {-advantage:+.0f}"
            ax.text((low + high) / 2, 0.03, text, transform=ax.get_xaxis_transform(), ha="center", fontsize=8)
            ax.axvline(low, color="#999999", linewidth=0.7)
        ax.set(title=f"A = {advantage:+.0f}", xlabel="ratio", ylabel="policy loss of one row")
        ax.set(xlim=(0.4, 1.6), xticks=(0.6, 0.8, 1.0, 1.2, 1.4))
        ax.margins(y=0.15)
    axes[0].legend(loc="upper right")
    return figure
