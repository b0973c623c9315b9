"""Plot learning curves: `python -m ppo_np.plot RUN [RUN ...]`."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check, require_extra
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
        check(self.out.resolve().parent.is_dir(), "out", str(self.out), "in a folder that exists")
        check(not self.out.is_dir(), "out", str(self.out), "a file, not a folder")
        require_extra("matplotlib", "plot", "python -m ppo_np.plot")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, draw, print the path of the image, and return the exit code."""
    with cli.NUMBERS:
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
        document = json.loads((run / CONFIG).read_text())
        config, preset = document["config"], document["preset"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"RUN is {str(run)!r}, but it must be a run folder with a readable {CONFIG}.") from error
    usual = PPOConfig.preset(preset).to_dict() | {"env_id": config["env_id"]}
    changed = [f"{k}={v}" for k, v in config.items() if k not in ("seed", "threads") and usual.get(k) != v]
    return ", ".join([f"{config['env_id']} ({preset})", *changed])


def read_curve(run: Path, x: str, y: str, window: int) -> Curve:
    """Read one smoothed curve from a run's metrics.csv: the values of x and of y, (points,) each.

    Each point is a running mean over the rows of the last `window` episodes (returns and lengths, each row weighted by
    its number of episodes) or over the last `window` updates (other columns). Raises UserError if the folder has no
    metrics.csv, or if no row has a value of y.
    """
    try:
        with open(run / METRICS, newline="") as file:
            rows = [row for row in csv.DictReader(file) if row[y]]
        xs, ys, episodes = (np.array([float(row[name]) for row in rows]) for name in (x, y, "episodes"))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"RUN is {str(run)!r}, but it must be a run folder with a {METRICS} of ppo_np.") from error
    if not rows:
        raise UserError(f"RUN is {str(run)!r}, but its {METRICS} has no value of {y} yet.")
    weights = episodes if y.startswith("episodic") else np.ones(len(rows))
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
