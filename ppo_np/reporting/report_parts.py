"""The parts of a report that are not charts: tables, times, the film, the commands. All are HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from ppo_np.logs.csv_file import number
from ppo_np.logs.filenames import BEST, CHECKPOINT
from ppo_np.reporting.chart import COLOURS, scrolling
from ppo_np.reporting.command_lines import evaluate_command, obstacles, train_command
from ppo_np.reporting.films import as_data_url
from ppo_np.reporting.groups import Group, Interval, Run, as_text, changed_settings, differing_settings, mean_interval

PARTS = {
    "time_env": "environments",
    "time_inference": "choosing actions",
    "time_update": "advantages, losses, gradients, Adam",
    "rest": "evaluations, saving, the rest",
}


@dataclass(frozen=True)
class Film:
    """The film of a report: its file, and the most bytes that the page may hold of it."""

    path: Path
    limit: int


def legend(group: Group) -> str:
    """The letter, colour and label of a group."""
    count, colour = len(group.runs), f"c{group.index % COLOURS}"
    number = f'<span class="small">({count} run{"s" * (count > 1)})</span>'
    return f'<li><b class="swatch {colour}">{group.letter}</b> {escape(group.label)} {number}</li>'


def runs_table(groups: Sequence[Group], window: int) -> str:
    """A row for each run: seed, steps, seconds, and the return at its end."""
    head = ["run", "seed", "steps", "seconds", "steps/s", f"return, last {window:,} episodes", "last evaluation"]
    rows = []
    for group in groups:
        for run in group.runs:
            _, returns = run.curve("step", "episodic_return", window)
            seconds, last = run.last("wall_time"), run.evaluation()
            rate = run.steps / seconds if seconds > 0 else float("nan")
            rows.append([
                _name(group, run), str(run.config["seed"]), f"{run.steps:,}",
                _plain(seconds, ",.1f"), _plain(rate, ",.0f"),
                _plain(returns[-1] if len(returns) else float("nan"), ".5g"),
                _plain(last.mean if last else float("nan"), ".5g"),
            ])  # fmt: skip
    return _table(head, rows, "The runs")


def settings(groups: Sequence[Group]) -> str:
    """The settings that differ between the runs, and then those that differ from the presets."""
    runs = [run for group in groups for run in group.runs]
    differing, changed = differing_settings(runs), changed_settings(runs)
    names = list(dict.fromkeys([*differing, *changed]))
    if not names:
        return f"<p>All settings, but for the seed, are those of the preset {escape(runs[0].preset)}.</p>"
    presets = list({run.preset: run for run in runs}.values())
    head = ["setting", *(f"preset {run.preset}" for run in presets), *(group.letter for group in groups)]
    rows = [
        [
            name,
            *(as_text(run.usual.get(name)) for run in presets),
            *(" or ".join(dict.fromkeys(as_text(run.config.get(name)) for run in group.runs)) for group in groups),
        ]
        for name in names
    ]
    where = "All runs have the same settings, but for the seed."
    if differing:
        where = f"Different between the runs: {', '.join(differing)}."
    return f"<p>{escape(where)}</p>{_table(head, rows, 'Settings that differ')}"


def evaluations_table(groups: Sequence[Group]) -> str:
    """The last evaluation of each run with its interval, and of each group of several runs that over the runs."""
    head = ["run", "step", "episodes", "mean return", "95 % interval", "lowest", "highest", "best mean so far"]
    rows = []
    for group in groups:
        for run in (evaluated := [run for run in group.runs if run.evaluations]):
            row, found = run.evaluations[-1], run.evaluation()
            best = max(number(one, "mean_return") for one in run.evaluations)
            rows.append([
                _name(group, run), _plain(number(row, "step"), ",.0f"), row.get("episodes", ""),
                *_interval(found), *(_plain(number(row, name), ".5g") for name in ("min_return", "max_return")),
                _plain(best, ".5g"),
            ])  # fmt: skip
        if len(evaluated) > 1:
            means = [number(run.evaluations[-1], "mean_return") for run in evaluated]
            over = mean_interval(float(np.mean(means)), float(np.std(means)), len(means))
            rows.append([f"{group.letter}  mean of {len(means)} runs", "", "", *_interval(over), "", "", ""])
    return _table(head, rows, "Evaluations") if rows else "<p>These runs have no evaluations (--eval-every).</p>"


def times(groups: Sequence[Group]) -> str:
    """For each run a bar of the shares of its time, and the seconds and shares as a table."""
    bars, rows = [], []
    for name, seconds in ((_name(group, run), _seconds_of(run)) for group in groups for run in group.runs):
        total = sum(seconds)
        if total > 0:
            shares = [value / total for value in seconds]
            widths = "".join(f'<i class="part p{i}" style="width:{100 * x:.2f}%"></i>' for i, x in enumerate(shares))
            bars.append(f'<span>{escape(name)}</span><span class="bar">{widths}</span>')
            cells = [f"{value:,.1f} s ({share:.0%})" for value, share in zip(seconds, shares, strict=True)]
            rows.append([name, *cells, f"{total:,.1f} s"])
    if not rows:
        return "<p>These runs have no times yet.</p>"
    names = "".join(f'<li><i class="part p{i}"></i> {name}</li>' for i, name in enumerate(PARTS.values()))
    table = _table(["run", *PARTS.values(), "all"], rows, "Time by part")
    return (
        f'<ul class="legend">{names}</ul><div class="bars" role="img" aria-label="Shares of the time of each run; the '
        f'table has the numbers">{"".join(bars)}</div>'
        f'<details><summary>Numbers<span class="hidden"> of the time by part</span></summary>{table}</details>'
    )


def film(film: Film) -> str:
    """The film, or why it is not here."""
    try:
        size = film.path.stat().st_size
        source = as_data_url(film.path) if size <= film.limit else ""
        reason = f"it has {size / 1e6:.1f} MB, and a report takes in at most {film.limit / 1e6:g} MB (--film-limit)"
    except OSError as error:
        source, reason = "", f"it cannot be read: {error.strerror}"
    if not source:
        return f"<h2>Film</h2><p>{escape(str(film.path))} is not in this page: {escape(reason)}.</p>"
    picture = f'<img src="{source}" alt="Film of an episode">'
    if film.path.suffix != ".gif":
        picture = f'<video controls loop muted playsinline src="{source}" aria-label="Film of an episode"></video>'
    caption = f'<figcaption class="small">{escape(str(film.path))}</figcaption>'
    return f'<h2>Film</h2><figure class="film">{picture}{caption}</figure>'


def commands(group: Group, run: Run) -> str:
    """The commands of a run, and what the first one lacks."""
    policy = BEST if (run.folder / BEST).exists() else CHECKPOINT
    lines = "\n".join([train_command(run), evaluate_command(run, policy)])
    versions = run.document.get("versions")
    with_versions = ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else ""
    notes = [*obstacles(run), f"Made with {with_versions}; BLAS threads: {run.document.get('blas_threads')}."]
    texts = "".join(f'<p class="small">{escape(note)}</p>' for note in notes)
    return f"<h3>{group.letter} {escape(run.folder.name)}</h3><pre><code>{escape(lines)}</code></pre>{texts}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """A table of escaped cells, the first column as headings."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    return scrolling(f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>", label)


def _plain(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "–"


def _interval(found: Interval | None) -> tuple[str, str]:
    """Mean and interval as texts."""
    if found is None:
        return "–", "–"
    ends = f"{found.low:.5g} to {found.high:.5g}" if np.isfinite(found.low) else "–"
    return _plain(found.mean, ".5g"), ends


def _seconds_of(run: Run) -> list[float]:
    """The seconds of a run by the `PARTS`; the rest of its wall time is evaluations, saving and logs."""
    seconds = [float(np.nansum(run.columns.get(part, np.zeros(1)))) for part in PARTS if part != "rest"]
    return [*seconds, max(0.0, float(np.nan_to_num(run.last("wall_time"))) - sum(seconds))]


def _name(group: Group, run: Run) -> str:
    return f"{group.letter}  {run.folder.name}"
