"""A search for settings: trials that Optuna proposes, each with several seeds; the bad ones end early."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ppo_np.errors import RunError, UserError, check, require_extra, short
from ppo_np.running import cli
from ppo_np.running.chosen_settings import generic_preset
from ppo_np.running.options import TrainOptions
from ppo_np.running.output import make_console
from ppo_np.running.signals import StopSignals
from ppo_np.searching import study as studies
from ppo_np.searching.grid import Setting, Words, axes, separate, settings
from ppo_np.searching.jobs import check_jobs, number_of
from ppo_np.searching.manifest import arguments_of, held, new_folder, read_manifest, write_manifest
from ppo_np.searching.search import Plan, Search
from ppo_np.searching.space import parameters

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PROGRAM = "python -m ppo_np.tune"
MANIFEST, BEST = "tune.json", "best.toml"
FRESH_SEEDS = "101 102 103 104 105"
MAY_CHANGE = ("trials", "time", "jobs", "out", "run_dir", "resume")


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """Search for settings of an environment with Optuna; trial 0 is the preset itself. Needs the extra `tune`.

    All flags of `python -m ppo_np.train` are allowed, with one value each; a setting that is given is not searched.
    Without --preset, the settings are those of the generic preset for the environment's actions. The same command again
    goes on with a search that was interrupted.
    """

    trials: int = 50
    """Trials in all."""
    seeds_per_trial: int = 2
    """Seeds with which the settings of a trial are run: 1, 2, ...; its value is the mean over them."""
    timesteps: int = 100_000
    """Environment steps of a run."""
    time: str | None = None
    """Time for the whole search: 90s, 10m or 2h; what is not done then can go on later (default: no limit)."""
    jobs: int = 0
    """Runs at a time, each on one core; 0 = one per core."""
    run_dir: Path | None = None
    """Folder for all runs, the trials, and the best settings (default: runs/<env>__tune__<time>)."""
    out: Path | None = None
    """File for the best settings, for --preset FILE.toml of train (default: best.toml in the folder)."""
    greedy_episodes: int = 20
    """Episodes that a finished run plays with its most probable actions; their mean return is its value."""
    sampler_seed: int = 0
    """Seed of Optuna's sampler."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Go on with the search in this folder; only --trials, --time, --jobs and --out may be given as well."""

    def __post_init__(self) -> None:
        for name in ("trials", "seeds_per_trial", "timesteps"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "an integer >= 1")
        for name in ("greedy_episodes", "sampler_seed"):
            check(0 <= getattr(self, name) < 2**31, name, getattr(self, name), "an integer from 0 to 2**31 - 1")
        check_jobs(self.jobs)
        seconds(self.time)
        if self.out:
            check(self.out.suffix == ".toml", "out", str(self.out), "a file that ends with .toml")
            check(os.path.isdir(self.out.absolute().parent), "out", str(self.out), "in a folder that exists")
        require_extra("optuna", "tune", PROGRAM)


def seconds(text: str | None) -> float:
    """The seconds that a text like 90s, 10m or 2h means; infinity for None. Raises UserError for another text."""
    if text is None:
        return float("inf")
    parts = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh])", text)
    amount = float(parts[1]) * {"s": 1, "m": 60, "h": 3600}[parts[2]] if parts else 0.0
    check(amount > 0, "time", text, "a time like 90s, 10m or 2h")
    return amount


def parse(arguments: Sequence[str]) -> tuple[TuneOptions, list[Words]]:
    """The options of a search, and its flags of train. With --resume, those of the command that began in the folder.

    Raises UserError and SystemExit as `cli.parse_with_preset`.
    """
    names = TuneOptions.__dataclass_fields__
    own, others = separate(arguments, names)
    options = _parse_own(own)
    if options.resume is None:
        return options, others
    given = {group[0][2:].replace("-", "_") for group in separate(own, ())[1]}
    allowed = given <= {*MAY_CHANGE} - {"run_dir"} and not others
    check(allowed, "resume", str(options.resume), "alone, or with --trials, --time, --jobs and --out")
    folder, out = options.resume.absolute(), options.out and options.out.absolute()
    kept, others = separate(arguments_of(folder, MANIFEST), names)
    changed = ["--resume", str(folder), "--run-dir", str(folder), *(["--out", str(out)] if out else [])]
    for name in given & {"trials", "time", "jobs"}:
        changed += [f"--{name}", str(getattr(options, name))]
    return _parse_own([*kept, *changed]), others


def _parse_own(own: list[str]) -> TuneOptions:
    with cli.NUMBERS:
        return tyro.cli(TuneOptions, args=own, prog=PROGRAM)


def base_setting(options: TuneOptions, others: Sequence[Words]) -> tuple[Setting, dict[str, Any]]:
    """The settings that a trial changes, and the parameters that are searched, with their values there.

    Raises UserError and SystemExit as `grid.settings`.
    """
    from gymnasium.spaces import Box  # slow imports: here, they do not delay --help

    from ppo_np.environments.make import spaces_of_training

    choices = axes(others)
    for name, words in choices.items():
        given = [" ".join(one) for one in words]
        check(len(words) == 1, name, given, f"one value; {PROGRAM} chooses among its own")
    check("total_timesteps" not in choices, "total_timesteps", "given", "left away: here it is --timesteps")
    choices["total_timesteps"] = [("--total-timesteps", str(options.timesteps))]
    if "preset" not in choices:
        arguments = ["--preset", cli.GENERIC_DISCRETE, *(word for (one,) in choices.values() for word in one)]
        seen = cli.parse_with_preset(TrainOptions, arguments, PROGRAM).config
        preset, norm_obs = generic_preset(spaces_of_training(seen))
        chosen: dict[str, list[Words]] = {
            "preset": [("--preset", preset)],
            "norm_obs": [("--norm-obs",) if norm_obs else ("--no-norm-obs",)],
        }
        choices = chosen | choices
    (base,) = settings(choices, PROGRAM)
    continuous = isinstance(spaces_of_training(base.options.config)[1], Box)
    return base, parameters(base.options.config, continuous, choices.keys() - {"preset"})


def tune(arguments: Sequence[str], signals: StopSignals) -> int:
    """Search until all trials are done or the time is over, print the best settings, and return the exit code.

    The code is 1 if no trial is complete. A signal saves and stops all runs; the code is then 128 + its number.

    Raises:
        UserError: An argument is not allowed, or the folder holds another search.
        RunError: All of the first trials have failed, or the database cannot be read or written.
    """
    options, others = parse(arguments)
    base, searched = base_setting(options, others)
    check(bool(searched), "the number of settings to search", 0, "at least 1: leave some flag away")
    folder = new_folder(options.run_dir, base.options.config.env_id, "tune")
    plan = Plan(
        base=base, searched=searched, folder=folder, best_file=(options.out or folder / BEST).absolute(),
        trials=options.trials, seeds=options.seeds_per_trial, steps=options.timesteps,
        episodes=options.greedy_episodes, limit=seconds(options.time), jobs=number_of(options.jobs),
    )  # fmt: skip
    with held(folder, MANIFEST) as known:
        _keep_manifest(folder, known, options, base, None if options.resume else list(arguments))
        best = _search(plan, options.sampler_seed, signals)
    if best is None:
        print("no trial is complete: there are no best settings yet.")
    print(f"to go on:          {PROGRAM} --resume {shlex.quote(str(folder))} --trials N --time T")
    return signals.exit_code or (cli.FAILED if best is None else cli.DONE)


def _search(plan: Plan, sampler_seed: int, signals: StopSignals) -> "FrozenTrial | None":
    """Search, print what was found, and return the best trial; None if none is complete."""
    from optuna.exceptions import StorageInternalError

    try:
        study = studies.open_study(plan.folder, plan.searched, sampler_seed)
        search = Search(study, plan)
        search.run(signals)
        search.write_best()
        best = studies.best_of(study)
    except StorageInternalError as error:
        reason = short(str(error.__cause__ or error))
        raise RunError(f"{plan.folder / studies.DATABASE} cannot be read or written: {reason}.") from error
    if best:
        _report(plan, best, f"{search}, in {search.seconds / 60:.1f} minutes")
    return best


def _keep_manifest(folder: Path, known: bool, options: TuneOptions, base: Setting, arguments: list[str] | None) -> None:
    """Write the manifest; `arguments` None keeps those there. Raises UserError if the folder holds another search."""
    fixed = {name: value for name, value in vars(options).items() if name not in MAY_CHANGE}
    fixed["train"] = shlex.join(base.arguments)
    before: dict[str, Any] = read_manifest(folder, MANIFEST) if known else {"search": fixed}
    for name, value in fixed.items():
        there = before["search"].get(name)
        if there != value:
            raise UserError(f"run_dir is {str(folder)!r}, but the search there has {name} {there!r}, not {value!r}.")
    write_manifest(folder, MANIFEST, before["arguments"] if arguments is None else arguments, {"search": fixed})


def _report(plan: Plan, best: "FrozenTrial", progress: str) -> None:
    """Print the best settings, the commands that use and judge them, and where the trials are."""
    from rich.table import Table

    table = Table(title=f"The best settings: {studies.folder_of(best)}, return {best.value:.1f}")
    for column in ("setting", "best", "preset"):
        table.add_column(column)
    for name, value in plan.searched.items():
        one = best.params[name]
        table.add_row(name, f"{one:.3g}" if isinstance(one, float) else str(one), str(value))
    make_console().print(table)
    file, words = shlex.quote(str(plan.best_file)), list(plan.base.arguments)
    i = words.index("--preset") + 1
    preset, others = words[i], shlex.join(words[: i - 1] + words[i + 1 :])
    url = studies.url_of(plan.folder)
    rows = {
        "trials": progress,
        "file": plan.best_file,
        "to train": f"python -m ppo_np.train --preset {file}",
        "to compare": f"python -m ppo_np.sweep --preset {preset} {file} {others} --seeds {FRESH_SEEDS}",
        "to look": f"optuna-dashboard {shlex.quote(url)}",
    }
    print("\n".join(f"{name + ':':<19}{value}" for name, value in rows.items()))
