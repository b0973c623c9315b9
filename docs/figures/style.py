"""How the figures look, and how they are saved: the same file at every run."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.figure import Figure

# Colours that readers with colour blindness tell apart; each line has its own dashes too (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
SETTINGS = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    # Without this, the ids of elements differ from run to run.
    "svg.hashsalt": "ppo_np",
    "svg.fonttype": "path",
}


def new(panels: int = 1, height: float = 2.8):
    """A figure of panels below each other, and the list of their axes.

    A figure is 5 inches wide, so that its letters can be read on a screen of 400 pixels.

    Args:
        panels: how many.
        height: inches of each.
    """
    pyplot.rcdefaults()
    matplotlib.rcParams.update(SETTINGS)
    figure, axes = pyplot.subplots(panels, 1, figsize=(5, height * panels), layout="constrained", squeeze=False)
    return figure, list(axes.flat)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG without a date, and close it."""
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    # Matplotlib ends lines with blanks.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def line(ax, x, y, number: int, label: str, **options):
    """A line with the colour and the dashes of its number."""
    return ax.plot(x, y, color=COLOURS[number], linestyle=DASHES[number], label=label, **options)
