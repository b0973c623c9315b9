"""Check every hand-written gradient: `python -m ppo_np.gradcheck`. Without arguments: the article's network."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import tyro
from rich import box
from rich.table import Table
from rich.text import Text

from ppo_np.checking.gradient_report import TOLERANCE, Report
from ppo_np.checking.planted_bugs import BUGS, planted
from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.running import cli
from ppo_np.running.output import make_console

WIDTH = 120  # of the output in a file or a pipe


@dataclass(frozen=True, kw_only=True)
class GradcheckOptions:
    """Compare every hand-written gradient with central differences in float64; exit code 1 if one is wrong.

    The environment gives the spaces, the settings give the network and the loss. Nothing is trained.
    """

    preset: str = "article"
    """Named settings that the other flags then change."""
    config: tyro.conf.OmitArgPrefixes[PPOConfig]
    json: bool = False
    """Print one JSON object instead of a table."""
    inject: str | None = None
    """Plant a bug (listed above) first, to see how the check reports it."""
    list_bugs: bool = False
    """Only print the bugs that can be planted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, check the gradients, print the report, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    more_help = "\n\nBugs to inject:\n- " + bug_list().replace("\n", "\n- ")
    options = cli.parse_with_preset(GradcheckOptions, arguments, "python -m ppo_np.gradcheck", more_help)
    if options.list_bugs:
        print(bug_list())
        return cli.DONE
    with planted(options.inject, options.config) if options.inject else nullcontext():
        from ppo_np.checking.numerical_check import check_gradients  # slow: imported here, it does not delay --help

        report = check_gradients(options.config)
    if options.inject and not report.wrong:
        raise UserError(f"inject is {options.inject!r}, but that bug makes no difference with these settings.")
    if options.json:
        print(json.dumps(as_json(report, options), allow_nan=False))
    else:
        _print(report, options)
    return cli.FAILED if report.wrong else cli.DONE


def bug_list() -> str:
    """The bugs that can be planted, one per line: name, description, and the settings that it needs."""
    needs = {name: f" Needs {bug.needs[0]}." if bug.needs else "" for name, bug in BUGS.items()}
    return "\n".join(f"{name}: {bug.description}{needs[name]}" for name, bug in BUGS.items())


def as_json(report: Report, options: GradcheckOptions) -> dict[str, Any]:
    """The report and its settings for JSON: numbers that are not finite become None."""
    document = json.loads(json.dumps(dataclasses.asdict(report)), parse_constant=lambda _: None)
    return {
        "env_id": options.config.env_id,
        "preset": options.preset,
        "seed": options.config.seed,
        "inject": options.inject,
        "passed": not report.wrong,
        "tolerance": TOLERANCE,
        **document,
        "notes": notes(options.config),
    }


def notes(config: PPOConfig) -> list[str]:
    """What the check leaves out with these settings, one sentence each."""
    left_out = {
        "ent_coef is 0: the entropy's gradient is not exercised.": config.ent_coef == 0,
        "vf_coef is 0: the value loss's gradient is not exercised.": config.vf_coef == 0,
        "clip_vloss is off: the value loss has one branch only.": not config.clip_vloss,
        "clip_coef is at least 1: no ratio can be below 1 - clip_coef.": config.clip_coef >= 1,
    }
    return [note for note, holds in left_out.items() if holds]


def _print(report: Report, options: GradcheckOptions) -> None:
    """Print the table, the hints, the branches that the point covers, and the verdict."""
    console = make_console()
    if not console.is_terminal:
        console = make_console(width=WIDTH)
    if options.inject:
        console.print(f"Planted bug {options.inject}: {BUGS[options.inject].description}\n")
    console.print(_table(report, options))
    for check in report.checks:
        if check.hint:
            console.print(f"{check.name}: {check.hint}")
    for title, counts in (("Surrogate", report.surrogate_regions), ("Value loss", report.value_branches)):
        console.print(f"{title}, rows: " + ";  ".join(f"{name} {count}" for name, count in counts.items()))
    console.print(f"Drawn again because of a kink within h: {report.kinks} probes, {report.points - 1} points.")
    for note in notes(options.config):
        console.print(note)
    tolerance = f"relative tolerance {TOLERANCE:g} a tensor, absolute floor {report.floor:.1g}"
    if report.wrong:
        verdict = Text(f"{len(report.wrong)} of {len(report.checks)} gradients are WRONG", "bold red")
        console.print(verdict.append(f" ({tolerance}).", "default not bold"))
        console.print(f"In the order of the backward pass, the first wrong one is {report.wrong[0].name}: look there.")
    else:
        verdict = Text(f"All {len(report.checks)} gradients are right", "green")
        console.print(verdict.append(f" ({tolerance}).", "default"))


def _table(report: Report, options: GradcheckOptions) -> Table:
    """A table with one row per loss term and per parameter tensor, in the order of the backward pass."""
    size = f"{report.parameters:,} parameters, {report.rows} off-policy rows, seed {options.config.seed}"
    title = f"Gradient of the PPO loss, {options.config.env_id}: {size}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in ("gradient", "shape", "norm", "worst at", "analytic", "numeric", "rel. error", "verdict"):
        number = column in ("norm", "analytic", "numeric", "rel. error")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for check in report.checks:
        colour = "green" if check.verdict == "ok" else "bold red"
        table.add_row(
            check.name, str(check.shape), f"{check.norm:.2e}", check.worst,
            f"{check.analytic:.4e}", f"{check.numeric:.4e}", f"{check.relative_error:.1e}",
            Text(check.verdict, colour),
        )  # fmt: skip
    return table


if __name__ == "__main__":
    cli.run(main)
