"""The look of the book's pictures, and how they are written: the same bytes each time with the same matplotlib.

Meaning is never in the colour alone: lines differ in their dashes and carry their names, regions are hatched or named.
"""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Of Okabe and Ito (2008): told apart by colour-blind readers.
BLUE, ORANGE, GREEN, PURPLE, BLACK, GREY = "#0072b2", "#d55e00", "#009e73", "#aa4499", "#222222", "#8a8a8a"
SETTINGS = {"svg.hashsalt": "ppo_np", "font.size": 9, "axes.titlesize": 9, "legend.fontsize": 8, "hatch.linewidth": 0.5}


def new(panels: int = 1, width: float = 7.0, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side.

    Args:
        panels: how many.
        width, height: of the whole figure, in inches.
    """
    with matplotlib.rc_context(SETTINGS):
        figure, axes = pyplot.subplots(1, panels, figsize=(width, height), layout="constrained", squeeze=False)
    for ax in axes[0]:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[0])


def save(figure: Figure, path: Path) -> None:
    """Write the figure as SVG without date or version, and close it."""
    metadata: dict[str, Any] = {"Date": None, "Creator": None}
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(path, format="svg", facecolor="white", metadata=metadata)
    pyplot.close(figure)


def number(value: float, digits: int = 3) -> str:
    """A number for a table: a fixed number of digits behind the point, and no sign before zero."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text
