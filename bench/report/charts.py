"""Pictures of the comparisons. They need matplotlib (the extras `plot` and `peers`); without it there is none."""

import importlib.util
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

OURS, THEIRS = "#1b6ca8", "#b9c4cc"


def _draw(path: Path, panels: Collection[Any], height: float, draw: Callable[[Any, Any], None], dpi: int = 150) -> None:
    """A file with panels one below the other, `height` inches each: `draw(axes, panel)` fills one."""
    if importlib.util.find_spec("matplotlib") is None:
        print("No picture: matplotlib is not installed.")
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = 8, height * len(panels) + 0.5
    figure, axes = pyplot.subplots(len(panels), 1, figsize=size, layout="constrained", squeeze=False)
    for ax, panel in zip(axes[:, 0], panels, strict=True):
        draw(ax, panel)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=dpi)
    print(f"Picture: {path.name}")


def bars(rows: Mapping[str, Any], path: Path) -> None:
    """Draw steps a second of each contestant of each row, medians with their ranges, ours on top."""

    def draw(ax: Any, panel: tuple[str, Any]) -> None:
        name, row = panel
        results = [result for result in row["results"] if "median" in result][::-1]
        labels = [result["contestant"] for result in results]
        medians = [result["median"] for result in results]
        ranges = [[r["median"] - r["min"] for r in results], [r["max"] - r["median"] for r in results]]
        colours = [OURS if label.startswith("ppo_np") else THEIRS for label in labels]
        drawn_bars = ax.barh(labels, medians, xerr=ranges, color=colours, error_kw={"linewidth": 1})
        ax.bar_label(drawn_bars, [f"{value:,.0f}" for value in medians], padding=4, fontsize=8)
        ax.margins(x=0.12)
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.locator_params(axis="x", nbins=6)
        ax.set_title(fill(f"({name}) {row['title']}", 90), fontsize=9, loc="left")
        if name == list(rows)[-1]:
            ax.set_xlabel("steps a second: median, least and most")

    _draw(path, rows.items(), 1.7, draw, dpi=130)


def curves(
    runs: Sequence[Mapping[str, Any]], threshold: float, path: Path,
    since: str = "seconds since the process started, evaluations left out", scale: str = "log",
) -> None:  # fmt: skip
    """Draw the greedy return against wall time, a line a run, a colour a contestant; `since` tells what time it is."""
    colours = {}

    def draw(ax: Any, runs: Sequence[Mapping[str, Any]]) -> None:
        for run in runs:
            label = None if run["name"] in colours else run["name"]
            colour = colours.setdefault(run["name"], f"C{len(colours)}")
            seconds, returns = ([point[key] for point in run["curve"]] for key in ("seconds", "mean_return"))
            ax.plot(seconds, returns, color=colour, alpha=0.8, linewidth=1, marker=".", label=label)
        ax.axhline(threshold, color="black", linewidth=0.6, linestyle="--")
        ax.set_xscale(scale)
        ax.xaxis.set_major_formatter("{x:,g}")
        ax.set_xlabel(since)
        ax.set_ylabel("greedy return, mean of unseen seeds")
        ax.legend(frameon=False)

    _draw(path, [[run for run in runs if "curve" in run]], 4, draw)


def scaling(curves: Mapping[str, Any], path: Path) -> None:
    """Draw steps a second against what grows, a panel a curve, with the limit."""

    def draw(ax: Any, panel: tuple[str, Any]) -> None:
        name, found = panel
        for threads, marker in zip(found["ours"], "osd", strict=False):
            label = f"ppo_np, {threads} thread{'s'[: int(threads) > 1]}"
            ax.plot(found["points"], found["ours"][threads], marker=marker, markersize=4, label=label)
        label = {"environment": "environment alone", "products": "matrix products alone"}[found["limited_by"]]
        ax.plot(found["points"], found["limit"], color="black", linewidth=0.8, linestyle="--", label=f"limit: {label}")
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(found["points"], [str(point) for point in found["points"]])
        ax.yaxis.get_major_locator().set_params(subs=(1, 2, 5))  # powers of ten alone leave a flat curve without any
        ax.yaxis.set_major_formatter("{x:,.0f}")
        ax.yaxis.set_minor_formatter("")
        ax.set_ylabel("steps a second")
        ax.set_title(name, fontsize=9, loc="left")
        ax.legend(frameon=False, fontsize=8)

    _draw(path, curves.items(), 2.5, draw, dpi=110)
