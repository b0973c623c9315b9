"""Runs as a report compares them: what a run folder holds, runs of the same settings, settings that differ."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from ppo_np.config import ARTICLE, PPOConfig
from ppo_np.errors import UserError
from ppo_np.logs.csv_file import number, read_rows
from ppo_np.logs.filenames import CONFIG, EVALUATIONS
from ppo_np.reporting.curves import Curve, read_columns, run_folders, smoothed

# Runs that differ only in these settings are compared as one.
NO_LEARNING = "seed", "threads", "num_env_threads", "env_timeout"
NEEDED = ("step", "episodes", "mean_return", "std_return")  # of evaluations.csv: a row without them is left out
WRONG = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, eq=False)
class Run:
    """What a run folder holds.

    Attributes:
        folder: as it was given.
        document: all of config.json.
        config: the settings in it, as `PPOConfig.to_dict` gives them.
        usual: the settings of its preset for its environment; those of the article if the preset cannot be read.
        preset: the name of that preset.
        columns: metrics.csv, see `read_columns`; NaN for infinite numbers, too.
        evaluations: the rows of evaluations.csv.
    """

    folder: Path
    document: dict[str, Any]
    config: dict[str, Any]
    usual: dict[str, Any]
    preset: str
    columns: dict[str, np.ndarray]
    evaluations: list[dict[str, str]]

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """Read a run folder. Raises UserError if it has no config.json or no metrics.csv that can be read."""
        try:
            document = json.loads((folder / CONFIG).read_bytes())
            config = PPOConfig().to_dict() | dict(document["config"])
            preset = str(document["preset"])
            evaluations = read_rows(folder / EVALUATIONS)
        except WRONG as error:
            raise UserError(f"RUN is {str(folder)!r}, but it must be a run folder with a readable {CONFIG}.") from error
        try:
            usual = PPOConfig.preset(preset).to_dict()
        except UserError:  # a file that is no longer there
            preset, usual = ARTICLE, PPOConfig().to_dict()
        usual["env_id"] = config["env_id"]
        columns = {name: np.where(np.isfinite(x), x, np.nan) for name, x in read_columns(folder).items()}
        evaluations = [row for row in evaluations if np.isfinite([number(row, name) for name in NEEDED]).all()]
        return cls(folder, document, config, usual, preset, columns, evaluations)

    @property
    def steps(self) -> int:
        """Environment steps that are done."""
        return int(self.last("step")) if self.columns else 0

    def last(self, name: str) -> float:
        """The last number of a column; NaN if there is none."""
        column = self.columns.get(name, np.zeros(0))
        finite = column[np.isfinite(column)]
        return float(finite[-1]) if len(finite) else float("nan")

    def curve(self, x: str, y: str, window: int) -> Curve:
        """A column of metrics.csv, `smoothed`, to the end of the run: a mean of past episodes holds until one ends."""
        xs, ys = smoothed(self.columns, x, y, window)
        end = self.last(x)
        return (np.append(xs, end), np.append(ys, ys[-1])) if len(xs) and xs[-1] < end else (xs, ys)

    def evaluation(self, row: int = -1) -> "Interval | None":
        """The mean return of an evaluation and its 95 % interval over episodes; None if there are no evaluations."""
        if not self.evaluations:
            return None
        episodes, mean, std = (number(self.evaluations[row], name) for name in NEEDED[1:])
        return mean_interval(mean, std, int(episodes))


@dataclass(frozen=True)
class Interval:
    """A mean, and the ends of its 95 % interval; the ends are NaN if there is only one number."""

    mean: float
    low: float
    high: float


def mean_interval(mean: float, std: float, n: int) -> Interval:
    """The 95 % interval of a mean by Student's t: mean +- t(0.975, n - 1) * std / sqrt(n - 1).

    Args:
        mean, std: of n independent numbers; std is that of NumPy (the squares are divided by n, not by n - 1).
        n: how many; below 2 there is no interval.
    """
    if n < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(stdtrit(n - 1, 0.975)) * std / (n - 1) ** 0.5
    return Interval(mean, mean - half, mean + half)


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that are one line in a picture: the same settings but for the seed, or the same label.

    Attributes:
        index: 0, 1, ...: its colour.
        label: what its settings are.
        runs: at least one.
    """

    index: int
    label: str
    runs: list[Run]

    @property
    def letter(self) -> str:
        """Its short name: A to Z, then A2 to Z2 and so on."""
        return chr(ord("A") + self.index % 26) + (str(self.index // 26 + 1) if self.index >= 26 else "")

    def curves(self, x: str, y: str, window: int) -> list[Curve]:
        """The curves of the runs that have one."""
        return [curve for run in self.runs if len((curve := run.curve(x, y, window))[0])]


def read_groups(given: Sequence[Path], labels: Sequence[str] = ()) -> tuple[list[Group], list[str]]:
    """The runs that the arguments mean, in groups, and a sentence for each folder below an argument that is no run.

    Args:
        given: run folders, folders of run folders, or patterns.
        labels: a name for each argument, or none; runs of the same name are one group.

    Raises UserError if an argument is no run and means none.
    """
    runs: dict[Path, str] = {}
    for i, argument in enumerate(given):
        runs |= {folder: labels[i] if labels else "" for folder in run_folders(argument) if folder not in runs}
    read, notes = [], []
    for folder, label in runs.items():
        try:
            read.append((Run.read(folder), label))
        except UserError as error:
            if folder in given:
                raise
            notes.append(f"{error} It is left out.")
    if not read:
        raise UserError(notes[0].removesuffix(" It is left out."))
    by_key: dict[str, list[Run]] = {}
    for run, label in read:
        by_key.setdefault(label or _key(run), []).append(run)
    differing = differing_settings([runs[0] for runs in by_key.values()])
    names = [key if labels else _label(runs[0], differing) for key, runs in by_key.items()]
    return [Group(i, *both) for i, both in enumerate(zip(names, by_key.values(), strict=True))], notes


def _key(run: Run) -> str:
    """What runs of one group have in common: the preset, and all settings that matter to learning."""
    document = {k: v for k, v in run.config.items() if k not in NO_LEARNING}
    return json.dumps([run.preset, document], sort_keys=True)


def _label(run: Run, differing: Sequence[str]) -> str:
    """The environment, and the settings in which its group differs from the other groups."""
    others = [name for name in differing if name != "env_id"]
    return ", ".join([run.config["env_id"], *(f"{name} {as_text(run.config[name])}" for name in others)])


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """The settings that matter to learning and are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.config if name not in NO_LEARNING)
    return [name for name in names if any(run.config.get(name) != runs[0].config.get(name) for run in runs)]


def changed_settings(runs: Sequence[Run]) -> list[str]:
    """The settings in which a run differs from its preset."""
    names = dict.fromkeys(name for run in runs for name in run.config if name not in NO_LEARNING)
    return [name for name in names if any(run.config.get(name) != run.usual.get(name) for run in runs)]


def as_text(value: object) -> str:
    """A setting for a reader: numbers in their short form, lists with spaces, "none" for None and for nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items()) or "none"
    return "none" if value in (None, "") else str(value)
