"""Curves of runs: which folders are runs, a column of metrics.csv over steps or seconds, means over several runs."""

import glob
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.logs.csv_file import number, read_rows
from ppo_np.logs.filenames import CONFIG, METRICS

POINTS = 400  # of a drawn curve
Curve = tuple[np.ndarray, np.ndarray]


def run_folders(given: Path) -> list[Path]:
    """The run folders that an argument means: itself, those somewhere below it, or those that match it as a pattern.

    A folder inside of a run folder, such as the one that `ppo_np.card` writes, is no run of its own. Raises UserError
    if there is none.
    """
    matches = [] if os.path.exists(given) else sorted(glob.glob(str(given), recursive=True))
    places = [Path(match) for match in matches] or [given]
    runs = dict.fromkeys(run for place in places for run in _below(place))  # a pattern may match a run and its folder
    if not runs:
        allowed = f"a run folder with a readable {CONFIG}, or a folder of such folders"
        raise UserError(f"RUN is {str(given)!r}, but it must be {allowed}.")
    return list(runs)


def _below(place: Path) -> Iterator[Path]:
    """A folder if it is a run folder, else the run folders below it in the order of their names."""
    for folder, inner, names in os.walk(place):
        inner.sort()
        if CONFIG in names:
            inner.clear()
            yield Path(folder)


def run_label(run: Path) -> str:
    """Environment, preset and the settings that differ from the preset, without the seed.

    Raises UserError if the folder has no readable config.json.
    """
    try:
        document = json.loads((run / CONFIG).read_bytes())
        config, preset = dict(document["config"]), document["preset"]
        usual = PPOConfig.preset(preset).to_dict() | {"env_id": config["env_id"]}
        changed = [f"{k}={v}" for k, v in config.items() if k not in ("seed", "threads") and usual.get(k) != v]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"RUN is {str(run)!r}, but it must be a run folder with a readable {CONFIG}.") from error
    return ", ".join([f"{config['env_id']} ({preset})", *changed])


def read_columns(run: Path) -> dict[str, np.ndarray]:
    """The columns of a run's metrics.csv by name, (rows,) each; NaN where there is no number.

    There may be no rows, and then no columns. Raises UserError if the folder has no metrics.csv that can be read.
    """
    try:
        (run / METRICS).stat()
        rows = read_rows(run / METRICS)
    except OSError as error:
        raise UserError(f"RUN is {str(run)!r}, but it must be a run folder with a {METRICS} of ppo_np.") from error
    return {name: np.array([number(row, name) for row in rows]) for name in (rows[0] if rows else ())}


def read_curve(run: Path, x: str, y: str, window: int) -> Curve:
    """One smoothed curve from a run's metrics.csv: see `smoothed`.

    Raises UserError if the folder has no metrics.csv, or another one than ppo_np writes.
    """
    columns = read_columns(run)
    if columns and not {x, y} <= columns.keys():
        raise UserError(f"RUN is {str(run)!r}, but it must be a run folder with a {METRICS} of ppo_np.")
    return smoothed(columns, x, y, window)


def smoothed(columns: Mapping[str, np.ndarray], x: str, y: str, window: int) -> Curve:
    """A smoothed curve: the values of x and of y, (points,) each, from the columns of metrics.csv.

    Each point is a running mean over the rows of the last `window` episodes (returns and lengths, each row weighted by
    its number of episodes) or over the last `window` updates (other columns). Rows without a number for x or y are left
    out; there may be no points, as for a column that does not exist.
    """
    if not {x, y} <= columns.keys():
        return np.zeros(0), np.zeros(0)
    rows = len(columns[x])
    weights = columns.get("episodes", np.full(rows, np.nan)) if y.startswith("episodic") else np.ones(rows)
    numbers = np.column_stack([columns[x], columns[y], weights])
    numbers = numbers[np.isfinite(numbers).all(axis=1) & (numbers[:, 2] > 0)]
    xs, ys, weights = numbers[np.argsort(numbers[:, 0], kind="stable")].T
    total, count = np.cumsum(weights * ys), np.cumsum(weights)
    start = np.searchsorted(count, count - window, side="right")
    sums = total - np.where(start > 0, total[start - 1], 0)
    return xs, sums / (count - np.where(start > 0, count[start - 1], 0))


def mean_and_band(curves: Sequence[Curve], points: int = POINTS) -> tuple[np.ndarray, ...]:
    """x, and the mean, the lowest, the highest and the number of the curves that have data there, (points,) each.

    x covers all curves by about so many `points`. A curve has data from its first to its last point; where none has,
    the mean is NaN.
    """
    ends = [(x[0], x[-1]) for x, _ in curves]
    grid = np.unique(np.append(np.linspace(min(ends)[0], max(last for _, last in ends), points), ends))
    lines = np.array([np.interp(grid, x, y, left=np.nan, right=np.nan) for x, y in curves])
    number = np.isfinite(lines).sum(axis=0)
    mean = np.divide(np.nansum(lines, axis=0), number, out=np.full(len(grid), np.nan), where=number > 0)
    return grid, mean, np.fmin.reduce(lines), np.fmax.reduce(lines), number
