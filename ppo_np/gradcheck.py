"""Check every hand-written gradient: `python -m ppo_np.gradcheck`. Without arguments: the article's network."""

import dataclasses
import json
import random
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby
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
ENT_COEF = 0.01  # of the second check, if the settings have none
SECOND_CHECK = (
    f"ent_coef is 0, with which all gradients are right. The table is of a second check, with ent_coef {ENT_COEF}: "
    "so the entropy's gradient is exercised too."
)


@dataclass(frozen=True, kw_only=True)
class GradcheckOptions:
    """Compare every hand-written gradient with central differences in float64; exit code 1 if one is wrong.

    The environment gives the spaces, the settings give the network and the loss. Nothing is trained.
    """

    preset: str = "article"
    """Settings that the other flags then change: a name or FILE.toml (default: as for ppo_np.train)."""
    config: tyro.conf.OmitArgPrefixes[PPOConfig]
    json: bool = False
    """Print one JSON object instead of a table."""
    inject: str | None = None
    """Plant a bug (listed above) first, to see how the check reports it."""
    hunt: int | None = None
    """Plant a bug that this number draws (without a number: a new one), and withhold its name and the hints."""
    answer: bool = False
    """With --hunt: print the name and the hints."""
    list_bugs: bool = False
    """Only print the bugs that can be planted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, check the gradients, print the report, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    more_help = "\n\nBugs to inject:\n- " + bug_list().replace("\n", "\n- ")
    options = cli.parse_with_preset(
        GradcheckOptions, with_hunt_number(arguments), "python -m ppo_np.gradcheck", more_help
    )
    if options.list_bugs:
        print(bug_list())
        return cli.DONE
    bug, report, notes = _checked(options)
    if options.hunt is not None and not options.answer:
        bug, report = None, blind(report)
    if options.json:
        print(json.dumps(as_json(bug, report, notes, options), allow_nan=False))
    else:
        _print(bug, report, notes, options)
    return cli.FAILED if report.wrong else cli.DONE


def with_hunt_number(arguments: Sequence[str]) -> list[str]:
    """The arguments with a new number after a --hunt that has none."""
    given = list(arguments)
    for place, argument in enumerate(given):
        if argument == "--hunt" and (place + 1 == len(given) or given[place + 1].startswith("--")):
            given.insert(place + 1, str(random.randrange(10**6)))
            break
    return given


def _checked(options: GradcheckOptions) -> tuple[str | None, Report, list[str]]:
    """The planted bug, the report, and what it leaves out, one sentence each.

    Raises UserError if options contradict each other, or if the bug makes no difference with these settings.
    """
    from ppo_np.checking.numerical_check import check_gradients  # slow: imported here, it does not delay --help

    config = options.config
    if options.hunt is not None and options.inject:
        raise UserError(
            f"hunt is {options.hunt} and inject is {options.inject!r}, but only one of the two can be given."
        )
    if options.answer and options.hunt is None:
        raise UserError("answer is given, but it needs --hunt with the number of a hunt.")
    if options.hunt is not None:
        return *hunted(options.hunt, config), left_out(config)
    with planted(options.inject, config) if options.inject else nullcontext():
        report, notes = check_gradients(config), left_out(config)
        if not config.ent_coef and not report.wrong:
            report = check_gradients(dataclasses.replace(config, ent_coef=ENT_COEF))
            notes[0] = SECOND_CHECK
    if options.inject and not report.wrong:
        raise UserError(f"inject is {options.inject!r}, but that bug makes no difference with these settings.")
    return options.inject, report, notes


def hunted(number: int, config: PPOConfig) -> tuple[str, Report]:
    """A bug that `number` draws from those that make a difference with these settings, and the report with it."""
    from ppo_np.checking.numerical_check import check_gradients

    fitting = [name for name, bug in BUGS.items() if not bug.needs or bug.needs[1](config)]
    for name in random.Random(number).sample(fitting, len(fitting)):
        with planted(name, config):
            report = check_gradients(config)
        if report.wrong:  # a bug of another kind of actions makes no difference
            return name, report
    raise UserError(f"hunt is {number}, but no bug makes a difference with these settings.")


def blind(report: Report) -> Report:
    """The report without what names the mistake: the hints of wrong gradients, and where they turn wrong."""
    checks = [check if check.verdict == "ok" else dataclasses.replace(check, hint="") for check in report.checks]
    return dataclasses.replace(report, checks=checks, turns=[])


def bug_list() -> str:
    """The bugs that can be planted, one per line: name, description, and the settings that it needs."""
    needs = {name: f" Needs {bug.needs[0]}." if bug.needs else "" for name, bug in BUGS.items()}
    return "\n".join(f"{name}: {bug.description}{needs[name]}" for name, bug in BUGS.items())


def as_json(bug: str | None, report: Report, notes: list[str], options: GradcheckOptions) -> dict[str, Any]:
    """The report and its settings for JSON: numbers that are not finite become None."""
    document = json.loads(json.dumps(dataclasses.asdict(report)), parse_constant=lambda _: None)
    return {
        "env_id": options.config.env_id,
        "preset": options.preset,
        "seed": options.config.seed,
        "inject": bug,
        "hunt": options.hunt,
        "passed": not report.wrong,
        "tolerance": TOLERANCE,
        **document,
        "notes": notes,
    }


def left_out(config: PPOConfig) -> list[str]:
    """What the check leaves out with these settings, one sentence each."""
    sentences = {
        "ent_coef is 0: the entropy's gradient is not exercised.": config.ent_coef == 0,
        "vf_coef is 0: the value loss's gradient is not exercised.": config.vf_coef == 0,
        "clip_vloss is off: the value loss has one branch only.": not config.clip_vloss,
        "clip_coef is at least 1: no ratio can be below 1 - clip_coef.": config.clip_coef >= 1,
    }
    return [note for note, holds in sentences.items() if holds]


def _print(bug: str | None, report: Report, notes: list[str], options: GradcheckOptions) -> None:
    """Print the table, the hints, the branches that the point covers, and the verdict."""
    console = make_console()
    if not console.is_terminal:
        console = make_console(width=WIDTH)
    if bug:
        console.print(f"Planted bug {bug}: {BUGS[bug].description}\n")
    elif options.hunt is not None:
        console.print("A bug hunt: one of the bugs of --list-bugs is planted. Which one?")
        console.print(f"The answer: the same command with --hunt {options.hunt} --answer\n")
    if line := cli.preset_line(options.preset, options.config):
        console.print(f"{line}\n")
    console.print(_table(report, options))
    for hint, checks in groupby(report.checks, lambda check: check.hint):
        if hint:
            console.print(f"{', '.join(check.name for check in checks)}: {hint}")
    for title, counts in (("Surrogate", report.surrogate_regions), ("Value loss", report.value_branches)):
        console.print(f"{title}, rows: " + ";  ".join(f"{name} {count}" for name, count in counts.items()))
    console.print(f"Drawn again because of a kink within h: {report.kinks} probes, {report.points - 1} points.")
    for note in notes:
        console.print(note)
    tolerance = f"relative tolerance {TOLERANCE:g} a tensor, absolute floor {report.floor:.1g}"
    if report.wrong:
        verdict = Text(f"{len(report.wrong)} of {len(report.checks)} gradients are WRONG", "bold red")
        console.print(verdict.append(f" ({tolerance}).", "default not bold"))
    else:
        verdict = Text(f"All {len(report.checks)} gradients are right", "green")
        console.print(verdict.append(f" ({tolerance}).", "default"))
    for turn in report.turns:
        console.print(f"The mistake is on the way from {' and '.join(turn.right)} (right) to {turn.wrong} (wrong).")


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
