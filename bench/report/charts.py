"""Pictures of the comparisons. They need matplotlib (the extras `plot` and `peers`); without it there is none."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

OURS, THEIRS = "#1b6ca8", "#b9c4cc"


def _figure(rows: int, height: float):
    """A figure with axes one below the other; None without matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        print("No picture: matplotlib is not installed.")
        return None
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(rows, 1, figsize=(8, height), layout="constrained", squeeze=False)


def bars(rows: Mapping[str, Any], path: Path) -> None:
    """Draw steps a second of each contestant of each row, medians with their ranges, ours on top."""
    drawn = _figure(len(rows), 0.9 + 1.8 * len(rows))
    if drawn is None:
        return
    figure, axes = drawn
    for ax, (name, row) in zip(axes[:, 0], rows.items(), strict=True):
        results = [result for result in row["results"] if "median" in result][::-1]
        labels = [result["contestant"] for result in results]
        medians = [result["median"] for result in results]
        ranges = [[r["median"] - r["min"] for r in results], [r["max"] - r["median"] for r in results]]
        colours = [OURS if label.startswith("ppo_np") else THEIRS for label in labels]
        drawn_bars = ax.barh(labels, medians, xerr=ranges, color=colours, error_kw={"linewidth": 1})
        ax.bar_label(drawn_bars, [f"{value:,.0f}" for value in medians], padding=4, fontsize=8)
        ax.margins(x=0.12)
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.set_title(fill(f"({name}) {row['title']}", 90), fontsize=9, loc="left")
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("steps a second: median, least and most")
    figure.savefig(path, dpi=150)
    print(f"Chart: {path.name}")


def curves(runs: Sequence[Mapping[str, Any]], threshold: float, path: Path) -> None:
    """Draw the greedy return against wall time, a line a run, a colour a contestant."""
    drawn = _figure(1, 4.5)
    if drawn is None:
        return
    from matplotlib.ticker import LogFormatter

    figure, axes = drawn
    ax = axes[0, 0]
    names = list(dict.fromkeys(run["name"] for run in runs if "curve" in run))
    for n, name in enumerate(names):
        for i, run in enumerate(run for run in runs if run["name"] == name and "curve" in run):
            seconds, returns = ([point[key] for point in run["curve"]] for key in ("seconds", "mean_return"))
            ax.plot(seconds, returns, color=f"C{n}", alpha=0.8, linewidth=1, marker=".", label=name if i == 0 else None)
    ax.axhline(threshold, color="black", linewidth=0.6, linestyle="--")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))
    ax.set_xlabel("seconds since the process started, evaluations left out")
    ax.set_ylabel("greedy return, mean of unseen seeds")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    print(f"Plot: {path.name}")


def scaling(curves: Mapping[str, Any], path: Path) -> None:
    """Draw steps a second against what grows, a picture a curve, with the limit."""
    drawn = _figure(len(curves), 2.6 * len(curves))
    if drawn is None:
        return
    from matplotlib.ticker import LogLocator

    figure, axes = drawn
    for ax, (name, found) in zip(axes[:, 0], curves.items(), strict=True):
        for threads, marker in zip(found["ours"], "osd", strict=False):
            label = f"ppo_np, {threads} thread{'s'[: int(threads) > 1]}"
            ax.plot(found["points"], found["ours"][threads], marker=marker, markersize=4, label=label)
        label = {"environment": "environment alone", "products": "matrix products alone"}[found["limited_by"]]
        ax.plot(found["points"], found["limit"], color="black", linewidth=0.8, linestyle="--", label=f"limit: {label}")
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(found["points"], [str(point) for point in found["points"]])
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # powers of ten alone leave a flat curve without any
        ax.yaxis.set_major_formatter("{x:,.0f}")
        ax.yaxis.set_minor_formatter("")
        ax.set_ylabel("steps a second")
        ax.set_title(name, fontsize=9, loc="left")
        ax.legend(frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    print(f"Picture: {path.name}")
