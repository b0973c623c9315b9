"""The charts of a report."""

from collections.abc import Sequence

import numpy as np

from ppo_np.learning.metrics import METRICS_COLUMNS
from ppo_np.logs.csv_file import number
from ppo_np.reporting.chart import Chart, Series
from ppo_np.reporting.curves import mean_and_band
from ppo_np.reporting.groups import Group, Interval

RETURN, TITLE = "episodic_return", "Return of an episode"
MOST_DOTS = 60
OTHERS = {
    "episodic_length": "Length of an episode, in steps",
    "policy_loss": "Policy loss",
    "value_loss": "Value loss",
    "entropy": "Entropy of the policy, in nats",
    "approx_kl": "approx_kl: how far an update moves the policy",
    "clipfrac": "clipfrac: share of rows out of the clip range",
    "explained_variance": "Explained variance of the value",
    "grad_norm": "Norm of the gradient, before clipping",
    "learning_rate": "Learning rate",
    "SPS": "SPS: environment steps per second",
}


def return_charts(groups: Sequence[Group], window: int) -> list[Chart]:
    """The returns of the training episodes by environment steps and by seconds; none if no episode has ended."""
    about = f"by {{}} of training; means of the last {window:,} episodes"
    points = _points(groups)
    axes = {"step": "steps", "wall_time": "seconds"}
    found = [(unit, _series(groups, x, RETURN, window, points)) for x, unit in axes.items()]
    return [Chart(f"return-{unit}", TITLE, about.format(unit), unit, series) for unit, series in found if series]


def other_charts(groups: Sequence[Group], window: int) -> list[Chart]:
    """The other columns of metrics.csv, those that a run has added itself included, as far as they have numbers."""
    names = dict.fromkeys(name for group in groups for run in group.runs for name in run.columns)
    titles = OTHERS | {name: name for name in names if name not in METRICS_COLUMNS}
    charts = []
    for i, (name, title) in enumerate(titles.items()):
        smoothing = 1 if name == "learning_rate" else window
        if series := _series(groups, "step", name, smoothing, _points(groups) // 2):
            charts.append(Chart(f"other-{i}", title, "", "steps", series))
    return charts


def _points(groups: Sequence[Group]) -> int:
    """Points of a line: fewer if there are many lines, so that the page stays small."""
    return max(40, min(200, 1600 // len(groups)))


def _series(groups: Sequence[Group], x: str, y: str, window: int, points: int) -> list[Series]:
    """The lines of the groups that have a number of y."""
    series = []
    for group in groups:
        if curves := group.curves(x, y, window):
            grid, mean, low, high, n = mean_and_band(curves, points)
            several = np.where(n > 1, 1.0, np.nan)
            whole = n == len(group.runs)
            series.append(Series(group.index, group.letter, grid, mean, several * low, several * high, whole))
    return series


def evaluation_charts(groups: Sequence[Group]) -> list[Chart]:
    """The returns of the evaluations during training; none if there were none."""
    series = []
    for group in groups:
        rows = [(number(row, "step"), k, run) for run in group.runs for k, row in enumerate(run.evaluations)]
        steps = sorted({step for step, _, _ in rows})
        if steps:
            found = [[run.evaluation(k) for step, k, run in rows if step == at] for at in steps]
            mean, low, high = np.array([_band_of([one for one in at if one]) for at in found]).T
            whole = np.array([len(at) == len(group.runs) for at in found])
            dots = len(steps) <= MOST_DOTS
            series.append(Series(group.index, group.letter, np.array(steps), mean, low, high, whole, dots))
    about = "greedy episodes; band: 95 % interval over the episodes of one run, lowest to highest of several runs"
    return [Chart("evaluations", "Return in evaluations", about, "steps", series)] if series else []


def _band_of(found: Sequence[Interval]) -> tuple[float, float, float]:
    """Mean, low and high of evaluations at one step: of one run its interval, of several the lowest and the highest."""
    means = [one.mean for one in found]
    if len(found) == 1:
        return found[0].mean, found[0].low, found[0].high
    return float(np.mean(means)), min(means), max(means)
