"""Plot learning curves: `python -m ppo_np.plot RUN [RUN ...]`."""

import io
import os
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import tyro

from ppo_np.errors import UserError, check, require_extra
from ppo_np.logs.filenames import METRICS
from ppo_np.reporting.curves import Curve, mean_and_band, read_curve, run_folders, run_label
from ppo_np.running import cli
from ppo_np.saving.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.typing import ColorType

WIDTH, HEIGHT = 8.0, 4.5  # of the picture without its legend, in inches
LINE = 100  # characters of a line of the legend
Column = Literal[
    "episodic_return", "episodic_length", "SPS", "policy_loss", "value_loss", "entropy", "approx_kl", "clipfrac",
    "explained_variance", "grad_norm", "learning_rate",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    """Draw learning curves of several runs. Runs that differ only in the seed become one line with a band."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Run folders, folders of run folders, or patterns like 'runs/CartPole*'."""
    label: tuple[str, ...] = ()
    """Names in the legend, one for each RUN; runs of the same name become one line (default: what differs)."""
    out: Path = Path("learning_curves.png")
    """Image file to write (.png, .svg or .pdf)."""
    x: Literal["step", "wall_time"] = "step"
    """Horizontal axis: environment steps, or seconds of training."""
    y: Column = "episodic_return"
    """Vertical axis: a column of metrics.csv."""
    window: int = 100
    """Smoothing: each point is the mean over this many last episodes (for other columns: updates)."""

    def __post_init__(self) -> None:
        check(len(self.runs) >= 1, "RUN", [], "one run folder or more")
        names = len(self.runs)
        check(len(self.label) in (0, names), "label", list(self.label), f"one name for each RUN, so {names}")
        check(self.window >= 1, "window", self.window, "an integer >= 1")
        check(self.out.suffix in (".png", ".svg", ".pdf"), "out", str(self.out), "a .png, .svg or .pdf file")
        check(os.path.isdir(self.out.absolute().parent), "out", str(self.out), "in a folder that exists")
        check(not os.path.isdir(self.out), "out", str(self.out), "a file, not a folder")
        require_extra("matplotlib", "plot", "python -m ppo_np.plot")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, draw, print the path of the image, and return the exit code."""
    with cli.NUMBERS:
        options = tyro.cli(PlotOptions, args=arguments, prog="python -m ppo_np.plot")
    groups, notes = read_groups(options)
    if not groups:
        given = ", ".join(repr(str(run)) for run in options.runs)
        raise UserError(f"RUN is {given}, but its {METRICS} has no value of {options.y} yet.")
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)
    picture = io.BytesIO()
    draw(groups, options).savefig(picture, format=options.out.suffix[1:], dpi=120)
    try:
        write_whole(options.out, picture.getvalue())
    except OSError as error:
        raise UserError(f"out is {str(options.out)!r}, but it cannot be written: {error.strerror or error}.") from error
    print(options.out)
    return cli.DONE


def read_groups(options: PlotOptions) -> tuple[dict[str, list[Curve]], list[str]]:
    """The curves of the runs by their labels, and a sentence for each run or end of a run that the picture lacks.

    Raises UserError if an argument is no run, or means none; a folder below one that is no run is left out.
    """
    groups: dict[str, list[Curve]] = {}
    notes = []
    for i, given in enumerate(options.runs):
        for run in run_folders(given):
            try:
                label = options.label[i] if options.label else run_label(run)
                curve = read_curve(run, options.x, options.y, options.window)
            except UserError as error:
                if run == given:
                    raise
                notes.append(f"{error} It is left out.")
                continue
            if len(curve[0]):
                groups.setdefault(label, []).append(curve)
            else:
                notes.append(f"{run} has no value of {options.y} yet: it is left out.")
    for label, curves in groups.items():
        ends = [x[-1] for x, _ in curves]
        if min(ends) < max(ends):
            where = f"the runs end between {options.x} {min(ends):,.0f} and {max(ends):,.0f}"
            notes.append(f"{label}: {where}; the line is dashed where not all of them have data.")
    return groups, notes


def draw(groups: dict[str, list[Curve]], options: PlotOptions) -> "Figure":
    """Draw one line per group: the mean over its runs, and a band from the lowest to the highest run.

    The line is solid where all runs of the group have data and dashed where only some have. A run with one point is a
    dot. The legend stands below the axes, and makes the picture higher.
    """
    import matplotlib
    from matplotlib import ticker
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes = figure.subplots()
    colours = matplotlib.color_sequences["tab10"]
    if len(groups) > len(colours):  # each line has a colour of its own, though they are harder to tell apart
        colours = list(matplotlib.colormaps["turbo"](np.linspace(0.05, 0.95, len(groups))))
    lines = [_draw_group(axes, *both) for both in zip(groups.values(), colours, strict=False)]
    unit = "episodes" if options.y.startswith("episodic") else "updates"
    axes.set_xlabel("environment steps" if options.x == "step" else "seconds of training")
    axes.set_ylabel(f"{options.y} (mean of the last {options.window} {unit})")
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.3)
    _add_legend(figure, lines, [f"{label}, {len(runs)} run{'s' * (len(runs) > 1)}" for label, runs in groups.items()])
    return figure


def _draw_group(axes: "Axes", curves: list[Curve], colour: "ColorType") -> "Line2D":
    """Draw the mean line of a group, its band and its single points. Returns the line."""
    x, mean, lowest, highest, number = mean_and_band(curves)
    all_have_data = number == len(curves)
    (line,) = axes.plot(x, np.where(all_have_data, mean, np.nan), color=colour)
    axes.plot(x, np.where(all_have_data, np.nan, mean), color=colour, linestyle="--", linewidth=1)
    for single, value in curves:
        if len(single) == 1:
            axes.plot(single, value, "o", color=colour)
    if len(curves) > 1:
        axes.fill_between(x, lowest, highest, where=number > 1, color=colour, alpha=0.25, linewidth=0)
    return line


def _add_legend(figure: "Figure", lines: list["Line2D"], labels: list[str]) -> None:
    """Add a legend below the axes. The picture grows by its size, so that the axes keep theirs."""
    title = "line: mean (dashed: not of all runs), band: lowest to highest run"
    legend = figure.legend(
        lines, [str(i) for i in range(len(lines))], title=title, loc="outside lower left", fontsize="small"
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):  # only now: above, a first _ has a meaning
        text.set_parse_math(False)
        text.set_text(textwrap.fill(label, LINE))
    figure.draw_without_rendering()
    size = legend.get_window_extent()
    figure.set_layout_engine("constrained")
    figure.set_size_inches(max(WIDTH, size.width / figure.dpi + 0.2), HEIGHT + size.height / figure.dpi)


if __name__ == "__main__":
    cli.run(main)
