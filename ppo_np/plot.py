"""Plot learning curves: `python -m ppo_np.plot RUN [RUN ...]`."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check, require_extra
from ppo_np.logs.csv_file import number, read_rows
from ppo_np.logs.filenames import CONFIG, METRICS
from ppo_np.running import cli

POINTS = 400  # of a drawn curve
Curve = tuple[np.ndarray, np.ndarray]
Column = Literal[
    "episodic_return", "episodic_length", "SPS", "policy_loss", "value_loss", "entropy", "approx_kl", "clipfrac",
    "explained_variance", "grad_norm", "learning_rate",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    """Draw learning curves of several runs. Runs that differ only in the seed become one line with a band."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Run folders."""
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
        check(self.window >= 1, "window", self.window, "an integer >= 1")
        check(self.out.suffix in (".png", ".svg", ".pdf"), "out", str(self.out), "a .png, .svg or .pdf file")
        check(os.path.isdir(self.out.absolute().parent), "out", str(self.out), "in a folder that exists")
        check(not os.path.isdir(self.out), "out", str(self.out), "a file, not a folder")
        require_extra("matplotlib", "plot", "python -m ppo_np.plot")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, draw, print the path of the image, and return the exit code."""
    options = tyro.cli(PlotOptions, args=arguments, prog="python -m ppo_np.plot")
    groups: dict[str, list[Curve]] = {}
    for run in options.runs:
        groups.setdefault(run_label(run), []).append(read_curve(run, options.x, options.y, options.window))
    draw(groups, options)
    print(options.out)
    return cli.DONE


def run_label(run: Path) -> str:
    """Environment, preset and the settings that differ from the preset, without the seed.

    Raises UserError if the folder has no readable config.json.
    """
    try:
        document = json.loads((run / CONFIG).read_bytes())
        config, preset = dict(document["config"]), document["preset"]
        usual = PPOConfig.preset(preset).to_dict() | {"env_id": config["env_id"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"RUN is {str(run)!r}, but it must be a run folder with a readable {CONFIG}.") from error
    changed = [f"{k}={v}" for k, v in config.items() if k not in ("seed", "threads") and usual.get(k) != v]
    return ", ".join([f"{config['env_id']} ({preset})", *changed])


def read_curve(run: Path, x: str, y: str, window: int) -> Curve:
    """Read one smoothed curve from a run's metrics.csv: the values of x and of y, (points,) each.

    Each point is a running mean over the rows of the last `window` episodes (returns and lengths, each row weighted by
    its number of episodes) or over the last `window` updates (other columns). Rows without a number for x or y are left
    out. Raises UserError if the folder has no metrics.csv, or if no row has a value of y.
    """
    try:
        (run / METRICS).stat()
        rows = read_rows(run / METRICS)
        _ = [(row[x], row[y]) for row in rows[:1]]
    except (OSError, KeyError) as error:
        raise UserError(f"RUN is {str(run)!r}, but it must be a run folder with a {METRICS} of ppo_np.") from error
    numbers = np.array([[number(row, name) for name in (x, y, "episodes")] for row in rows]).reshape(-1, 3)
    if not y.startswith("episodic"):
        numbers[:, 2] = 1
    numbers = numbers[np.isfinite(numbers).all(axis=1) & (numbers[:, 2] > 0)]
    if not len(numbers):
        raise UserError(f"RUN is {str(run)!r}, but its {METRICS} has no value of {y} yet.")
    xs, ys, weights = numbers.T
    total, count = np.cumsum(weights * ys), np.cumsum(weights)
    start = np.searchsorted(count, count - window, side="right")
    sums = total - np.where(start > 0, total[start - 1], 0)
    return xs, sums / (count - np.where(start > 0, count[start - 1], 0))


def draw(groups: dict[str, list[Curve]], options: PlotOptions) -> None:
    """Draw one line per group: the mean over its runs, and a band from the lowest to the highest run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for label, curves in groups.items():
        grid = np.linspace(max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves), POINTS)
        lines = np.array([np.interp(grid, x, y) for x, y in curves])
        (line,) = axes.plot(grid, lines.mean(axis=0), label=f"{label}, {len(curves)} run{'s' * (len(curves) > 1)}")
        if len(curves) > 1:
            axes.fill_between(grid, lines.min(axis=0), lines.max(axis=0), color=line.get_color(), alpha=0.25, lw=0)
    unit = "episodes" if options.y.startswith("episodic") else "updates"
    axes.set_xlabel("environment steps" if options.x == "step" else "seconds of training")
    axes.set_ylabel(f"{options.y} (mean of the last {options.window} {unit})")
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.3)
    axes.legend(title="line: mean, band: lowest to highest run", loc="best")
    figure.savefig(options.out, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    cli.run(main)
