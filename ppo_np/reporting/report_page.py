"""A report about runs as one HTML file that loads nothing from anywhere."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

import numpy as np

from ppo_np import __version__
from ppo_np.learning.metrics import METRICS_COLUMNS
from ppo_np.logs.csv_file import number
from ppo_np.logs.filenames import BEST, CHECKPOINT
from ppo_np.reporting.chart import Chart, Series, scrolling
from ppo_np.reporting.command_lines import evaluate_command, obstacles, train_command
from ppo_np.reporting.curves import mean_and_band
from ppo_np.reporting.films import as_data_url
from ppo_np.reporting.groups import (
    Group,
    Interval,
    Run,
    as_text,
    changed_settings,
    differing_settings,
    mean_interval,
)

TEMPLATE = "report.html"
RETURN = "episodic_return"
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
PARTS = {
    "time_env": "environments",
    "time_inference": "choosing actions",
    "time_update": "learning",
    "rest": "evaluations, saving, the rest",
}


@dataclass(frozen=True)
class Film:
    """The film of a report: its file, and the most bytes that the page may hold of it."""

    path: Path
    limit: int


def page(groups: Sequence[Group], window: int, film: Film | None) -> str:
    """The page about groups of runs. Each point of a curve is a mean over the last `window` episodes or updates."""
    points = max(40, min(200, 1600 // len(groups)))
    sections = {
        "learning": list(_charts(groups, RETURN, "Return of an episode", window, points, ("step", "wall_time"))),
        "evaluation": _evaluation_charts(groups),
        "others": [
            chart
            for name, title in (OTHERS | _own_columns(groups)).items()
            for chart in _charts(groups, name, title, 1 if name == "learning_rate" else window, points // 2)
        ],
    }
    charts = [chart for section in sections.values() for chart in section]
    environments = dict.fromkeys(str(run.config["env_id"]) for group in groups for run in group.runs)
    count = sum(len(group.runs) for group in groups)
    parts = {
        "title": escape(f"{', '.join(environments)}: {count} run{'s' * (count > 1)}"),
        "version": escape(__version__),
        "window": f"{window:,}",
        "legend": "".join(map(_legend, groups)),
        "runs": _runs_table(groups, window),
        "settings": _settings(groups),
        "evaluations": _evaluations_table(groups),
        "times": _times(groups),
        "film": _film(film) if film else "",
        "commands": "".join(_commands(group, run) for group in groups for run in group.runs),
        "data": json.dumps({c.name: c.data() for c in charts}, allow_nan=False, separators=(",", ":")).replace(
            "<", "\\u003c"
        ),
    } | {name: "".join(chart.html() for chart in section) for name, section in sections.items()}
    template = files("ppo_np.reporting").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return re.sub(r"@(\w+)@", lambda match: parts[match[1]], template)


def _own_columns(groups: Sequence[Group]) -> dict[str, str]:
    """The columns of metrics.csv that a run has added itself."""
    names = dict.fromkeys(name for group in groups for run in group.runs for name in run.columns)
    return {name: name for name in names if name not in METRICS_COLUMNS}


def _charts(
    groups: Sequence[Group], y: str, title: str, window: int, points: int, axes: Sequence[str] = ("step",)
) -> Iterator[Chart]:
    """The charts of a column by each of the axes, steps or seconds; none if no run has a number there."""
    for x in axes:
        x_name = "steps" if x == "step" else "seconds"
        series = []
        for i, group in enumerate(groups):
            if curves := group.curves(x, y, window):
                grid, mean, low, high, n = mean_and_band(curves, points)
                several = np.where(n > 1, 1.0, np.nan)
                whole = n == len(group.runs)
                series.append(Series(i, group.letter, grid, mean, several * low, several * high, whole))
        if series:
            about = f"by {x_name} of training; means of the last {window:,} episodes" if y == RETURN else ""
            yield Chart(f"{re.sub('[^A-Za-z0-9_]', '-', y)}-{x_name}", title, about, x_name, series)


def _evaluation_charts(groups: Sequence[Group]) -> list[Chart]:
    """The chart of the evaluations; none if there are none."""
    series = []
    for i, group in enumerate(groups):
        rows = [(number(row, "step"), k, run) for run in group.runs for k, row in enumerate(run.evaluations)]
        steps = sorted({step for step, _, _ in rows if np.isfinite(step)})
        if not steps:
            continue
        found = [[run.evaluation(k) for step, k, run in rows if step == at] for at in steps]
        bands = np.array([_band_of([one for one in at if one]) for at in found])
        with_data = np.array([len(at) for at in found])
        series.append(
            Series(i, group.letter, np.array(steps), *bands.T, with_data == len(group.runs), len(steps) <= 60)
        )
    about = "greedy episodes during training; band: 95 % interval over the episodes of one run, lowest to highest of several"
    return [Chart("evaluations", "Return in evaluations", about, "steps", series)] if series else []


def _band_of(found: Sequence[Interval]) -> tuple[float, float, float]:
    """Mean, low and high of evaluations at one step: of one run its interval, of several the lowest and the highest."""
    means = [one.mean for one in found]
    if len(found) == 1:
        return found[0].mean, found[0].low, found[0].high
    return float(np.mean(means)), min(means), max(means)


def _legend(group: Group) -> str:
    count = len(group.runs)
    return (
        f'<li><b class="swatch c{(ord(group.letter[0]) - ord("A")) % 8}">{group.letter}</b> {escape(group.label)}'
        f' <span class="small">({count} run{"s" * (count > 1)})</span></li>'
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """A table of escaped cells, the first column as headings."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return scrolling(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>", label)


def _runs_table(groups: Sequence[Group], window: int) -> str:
    """A row for each run: seed, steps, seconds, and the return at its end."""
    head = ["run", "seed", "steps", "seconds", "steps/s", f"return, last {window:,} episodes", "last evaluation"]
    rows = []
    for group in groups:
        for run in group.runs:
            _, returns = run.curve("step", "episodic_return", window)
            seconds, last = run.last("wall_time"), run.evaluation()
            rate = run.steps / seconds if seconds > 0 else float("nan")
            rows.append([
                f"{group.letter}  {run.folder.name}", str(run.config["seed"]), f"{run.steps:,}", _plain(seconds, ",.1f"),
                _plain(rate, ",.0f"), _plain(returns[-1] if len(returns) else float("nan"), ".5g"),
                _plain(last.mean if last else float("nan"), ".5g"),
            ])  # fmt: skip
    return _table(head, rows, "The runs")


def _plain(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "–"


def _settings(groups: Sequence[Group]) -> str:
    """The settings that differ between the groups, and those that differ from the presets."""
    firsts = [group.runs[0] for group in groups]
    differing, changed = differing_settings(firsts), changed_settings(firsts)
    presets = list({run.preset: run for run in firsts}.values())
    names = [*differing, *(name for name in changed if name not in differing)]
    if not names:
        return f"<p>All settings are those of the preset {escape(firsts[0].preset)}.</p>"
    head = ["setting", *(f"preset {run.preset}" for run in presets), *(group.letter for group in groups)]
    rows = [
        [name, *(as_text(run.usual.get(name)) for run in presets), *(as_text(run.config.get(name)) for run in firsts)]
        for name in names
    ]
    where = "All runs have the same settings, but for the seed."
    if differing:
        where = f"Different between the runs: {', '.join(differing)}."
    return f"<p>{escape(where)}</p>{_table(head, rows, 'Settings that differ')}"


def _evaluations_table(groups: Sequence[Group]) -> str:
    """The last evaluation of each run with its interval, and of each group of several runs that over the runs."""
    head = ["run", "step", "episodes", "mean return", "95 % interval", "lowest", "highest", "best mean so far"]
    rows = []
    for group in groups:
        for run in (evaluated := [run for run in group.runs if run.evaluations]):
            row, found = run.evaluations[-1], run.evaluation()
            best = max(number(one, "mean_return") for one in run.evaluations)
            rows.append([
                f"{group.letter}  {run.folder.name}", _plain(number(row, "step"), ",.0f"), row.get("episodes", ""),
                *_interval(found), *(_plain(number(row, name), ".5g") for name in ("min_return", "max_return")),
                _plain(best, ".5g"),
            ])  # fmt: skip
        if len(evaluated) > 1:
            means = [number(run.evaluations[-1], "mean_return") for run in evaluated]
            over = mean_interval(float(np.mean(means)), float(np.std(means)), len(means))
            rows.append([f"{group.letter}  mean of {len(means)} runs", "", "", *_interval(over), "", "", ""])
    return _table(head, rows, "Evaluations") if rows else "<p>These runs have no evaluations (--eval-every).</p>"


def _interval(found: Interval | None) -> tuple[str, str]:
    """Mean and interval as texts."""
    if found is None:
        return "–", "–"
    ends = f"{found.low:.5g} to {found.high:.5g}" if np.isfinite(found.low) else "–"
    return _plain(found.mean, ".5g"), ends


def _times(groups: Sequence[Group]) -> str:
    """For each run a bar of the shares of its time, and the seconds and shares as a table."""
    bars, rows = [], []
    for group in groups:
        for run in group.runs:
            seconds = _seconds_of(run)
            total = sum(seconds.values())
            if not total > 0:
                continue
            name = f"{group.letter}  {run.folder.name}"
            shares = {part: value / total for part, value in seconds.items()}
            spans = "".join(
                f'<i class="part p{i}" style="width:{100 * share:.2f}%"></i>' for i, share in enumerate(shares.values())
            )
            bars.append(f'<span>{escape(name)}</span><span class="bar">{spans}</span>')
            rows.append([name, *(f"{seconds[part]:,.1f} s ({shares[part]:.0%})" for part in PARTS), f"{total:,.1f} s"])
    if not rows:
        return "<p>These runs have no times yet.</p>"
    legend = "".join(f'<li><i class="part p{i}"></i> {name}</li>' for i, name in enumerate(PARTS.values()))
    words = escape(
        "; ".join(", ".join(f"{a} {b}" for a, b in zip(["", *PARTS.values()], row, strict=False)) for row in rows)
    )
    table = _table(["run", *PARTS.values(), "all"], rows, "Time by part")
    return (
        f'<ul class="legend">{legend}</ul><div class="bars" role="img" aria-label="{words}">{"".join(bars)}</div>'
        f'<details><summary>Numbers<span class="hidden"> of the time by part</span></summary>{table}</details>'
    )


def _seconds_of(run: Run) -> dict[str, float]:
    """The seconds of a run by part; the rest of its wall time is evaluations, saving and logs."""
    seconds = {part: float(np.nansum(run.columns.get(part, np.zeros(1)))) for part in PARTS if part != "rest"}
    return seconds | {"rest": max(0.0, np.nan_to_num(run.last("wall_time")) - sum(seconds.values()))}


def _film(film: Film) -> str:
    """The film, or why it is not here."""
    name, size, limit = escape(film.path.name), film.path.stat().st_size, film.limit
    if size > limit:
        text = (
            f"{escape(str(film.path))} has {size / 1e6:.1f} MB, more than the {limit / 1e6:g} MB that a report takes in"
        )
        return f"<h2>Film</h2><p>{text} (--film-limit).</p>"
    source = as_data_url(film.path)
    picture = f'<img src="{source}" alt="Film of an episode">'
    if film.path.suffix != ".gif":
        picture = f'<video controls loop muted playsinline src="{source}" aria-label="Film of an episode"></video>'
    return f'<h2>Film</h2><figure class="film">{picture}<figcaption class="small">{name}</figcaption></figure>'


def _commands(group: Group, run: Run) -> str:
    """The commands of a run, and what the first one lacks."""
    policy = BEST if (run.folder / BEST).exists() else CHECKPOINT
    lines = "\n".join([train_command(run), evaluate_command(run, policy)])
    versions = run.document.get("versions")
    with_versions = ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else ""
    notes = [*obstacles(run), f"Made with {with_versions}; BLAS threads: {run.document.get('blas_threads')}."]
    texts = "".join(f'<p class="small">{escape(note)}</p>' for note in notes)
    return f"<h3>{group.letter} {escape(run.folder.name)}</h3><pre><code>{escape(lines)}</code></pre>{texts}"
