"""Results of the presets over several seeds: train them, then write docs/results.md. Two commands:

    python bench/results.py train --presets cartpole acrobot --seeds 1 2 3 4 5 --runs runs/results
    python bench/results.py table --runs runs/results --out docs/results.md --json docs/results.json

With `--keep docs/results.md` the page keeps presets that were not trained anew.

`train` leaves a run in <runs>/<preset>/<seed>/, its output in <seed>.log beside it, and, when all is done, results.json
in the run folder: the greedy policy's returns over 100 episodes with the unseen seeds 10,000 to 10,099. Runs that have
one are kept, runs that were cut short are done anew. A third command prints a Markdown table of any finished runs:

    python bench/results.py show RUN [RUN ...]
"""

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from typing import Any

from results_merge import merged
from results_page import markdown_table, page, preset_cells, read_json, read_results, seed_cells, summaries
from rich.console import Console
from rich.table import Table
from speed import machine

import ppo_np
from ppo_np import cli
from ppo_np.config import PPOConfig, preset_names
from ppo_np.errors import UserError, check
from ppo_np.layout import CHECKPOINT, CONFIG
from ppo_np.playback import evaluate
from ppo_np.plot import read_curve

ROOT = Path(__file__).resolve().parent.parent
EPISODES, FIRST_SEED = 100, 10_000
RESULTS = "results.json"
SHORT = ("preset", "seeds", "time", "greedy return, IQM", "95% interval", "worst seed", "seeds at threshold")


def measure(run: Path) -> dict[str, Any]:
    """What a run has reached: its steps and seconds, and how its greedy policy plays.

    `training_return` is the mean over the last 100 training episodes (all episodes of the rows of metrics.csv that hold
    them).

    Raises:
        UserError: The folder lacks one of the files that a finished run has.
    """
    document = read_json(run / CONFIG)
    report = evaluate(run / CHECKPOINT, EPISODES, FIRST_SEED)
    return {
        "preset": document["preset"],
        "env_id": document["config"]["env_id"],
        "seed": document["config"]["seed"],
        "steps": int(read_curve(run, "step", "SPS", window=1)[0][-1]),
        "wall_time": float(read_curve(run, "wall_time", "SPS", window=1)[0][-1]),
        "training_return": float(read_curve(run, "step", "episodic_return", window=100)[1][-1]),
        "episodes": EPISODES,
        "first_seed": FIRST_SEED,
        **{name: report[f"{name}_return"] for name in ("mean", "std", "min", "max")},
        "reward_threshold": report["reward_threshold"],
        "success_rate": report["success_rate"],
        "returns": report["returns"],
        "versions": document["versions"],
        "machine": {"cpu": machine()["cpu"], "cores": os.cpu_count()},
    }


def commit() -> dict[str, Any]:
    """The commit of this clone, and whether its code of training differs from it; None where nothing is known.

    So it is without git, and if the installed ppo_np is not this clone's: then the commit says nothing about the runs.
    """

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(ppo_np.__file__).parent != ROOT / "ppo_np":
            return {"commit": None, "dirty": None}
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "kernels", "ppo_np"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def config_of(preset: str, seed: int, options: argparse.Namespace) -> PPOConfig:
    """The settings that a run of `train` has.

    Raises:
        UserError: There is no such preset, or a setting is not allowed.
    """
    flags = {"seed": seed, "threads": options.threads}
    if options.total_timesteps is not None:
        flags["total_timesteps"] = options.total_timesteps
    return PPOConfig.from_dict(PPOConfig.preset(preset).to_dict() | flags)


def is_finished(run: Path, config: PPOConfig) -> bool:
    """Whether a run with these settings has been done, the number of threads aside.

    Raises:
        UserError: A run with other settings has been done there, or the folder is not one of a run.
    """
    if not run.exists():
        return False
    ours = run.is_dir() and ((run / CONFIG).is_file() or not any(run.iterdir()))
    check(ours, "runs", str(run.parent.parent), f"a folder whose {run.parent.name}/{run.name} is a run or empty")
    if not (run / RESULTS).is_file():
        return False
    found = PPOConfig.from_dict(read_json(run / CONFIG)["config"], str(run / CONFIG)).to_dict()
    wanted = config.to_dict() | {"threads": found["threads"]}
    changed = [name for name in wanted if wanted[name] != found[name]]
    if changed:
        raise UserError(
            f"{run} was trained with {changed[0]} = {found[changed[0]]!r}, but now it is {wanted[changed[0]]!r}: "
            "remove that folder, or choose other --runs."
        )
    return True


def train_one(run: Path, preset: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train in a process of its own, and return what is known only then.

    Raises:
        UserError: The run has failed, or another process is at it.
    """
    flags = {"preset": preset, "seed": seed, "threads": options.threads, "run-dir": run}
    if options.total_timesteps is not None:
        flags["total-timesteps"] = options.total_timesteps
    command = [sys.executable, "-P", "-m", "ppo_np.train", *(f"--{name}={value}" for name, value in flags.items())]
    run.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{run}.log", "a") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the child keeps it, should it outlive this process
        except BlockingIOError as error:
            raise UserError(f"{run} is being trained by another process.") from error
        log.truncate(0)
        if run.exists():
            shutil.rmtree(run)
        known = commit() | {"flags": {name: getattr(options, name) for name in ("jobs", "threads", "total_timesteps")}}
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise UserError(f"{run} has failed: training ended with exit code {code}, see {run}.log.")
    return known | {"date": f"{date.today()}"}


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there completely or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def train(options: argparse.Namespace) -> int:
    """Do all runs that are not there yet, `options.jobs` at a time; evaluate each as soon as it ends."""
    check(len(set(options.seeds)) == len(options.seeds), "seeds", options.seeds, "different numbers")
    check(options.jobs >= 1, "jobs", options.jobs, "an integer >= 1")
    todo = {}
    for preset in dict.fromkeys(options.presets):
        for seed in options.seeds:
            run = options.runs / preset / str(seed)
            if not is_finished(run, config_of(preset, seed, options)):
                todo[run] = (preset, seed)
    console, failed = Console(soft_wrap=True, highlight=False), 0
    console.print(f"{len(todo)} runs to do")
    pool = ThreadPoolExecutor(options.jobs)
    try:
        futures = {pool.submit(train_one, run, *what, options): run for run, what in todo.items()}
        for future in as_completed(futures):
            run = futures[future]
            try:
                result = future.result() | measure(run)
            except UserError as error:
                console.print(f"error: {error}")
                failed += 1
                continue
            write_whole(run / RESULTS, json.dumps(result) + "\n")
            console.print(f"{run}: {result['wall_time']:,.0f} s, greedy mean {result['mean']:.1f}")
    finally:
        pool.shutdown(cancel_futures=True)
    return cli.FAILED if failed else cli.DONE


def table(options: argparse.Namespace) -> int:
    """Write the page, and the numbers of it as JSON; print the short form."""
    for name, file in (("out", options.out), ("json", options.json)):
        check(file is None or file.parent.is_dir(), name, str(file), "in a folder that exists")
    check(options.keep is None or options.keep.is_file(), "keep", str(options.keep), "a page that this command wrote")
    check(
        not (options.keep and options.json), "json", str(options.json), "left out with --keep: a page holds no numbers"
    )
    results, unfinished = read_results(options.runs, RESULTS)
    text = page(results, unfinished, options)
    write_whole(options.out, merged(text, options.keep.read_text()) if options.keep else text)
    rows = summaries(results)
    if options.json:
        runs = [{name: value for name, value in result.items() if name != "returns"} for result in results]
        write_whole(options.json, json.dumps({"presets": rows, "runs": runs}, indent=1) + "\n")
    short = Table(*SHORT, title=str(options.out))
    for cells in map(preset_cells, rows):
        short.add_row(*(cells[name] for name in SHORT))
    Console().print(short)
    return cli.DONE


def show(options: argparse.Namespace) -> int:
    """Print a Markdown table, a row a run."""
    print(markdown_table([seed_cells(measure(run)) for run in options.run]))
    return cli.DONE


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Options from the command line; `command` is the function that they are for."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python bench/results.py", description=__doc__, formatter_class=form)
    commands = parser.add_subparsers(required=True, metavar="train|table|show")
    one = commands.add_parser("train", help="train and evaluate what has not been yet")
    one.add_argument("--presets", nargs="+", default=preset_names(), metavar="NAME", help="default: all")
    one.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], metavar="S", help="default: 1 to 5")
    one.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    one.add_argument("--threads", type=int, default=1, help="BLAS threads of a run (default: 1)")
    one.add_argument("--total-timesteps", type=int, help="instead of the preset's, for a trial")
    one.set_defaults(command=train)
    two = commands.add_parser("table", help="write the page")
    two.add_argument("--out", type=Path, default=Path("docs/results.md"), help="default: docs/results.md")
    two.add_argument("--keep", type=Path, help="a page whose other presets are kept, as they stand there")
    two.add_argument("--json", type=Path, help="write the numbers to this file as well, single returns left out")
    two.set_defaults(command=table)
    for command in (one, two):
        command.add_argument("--runs", type=Path, default=Path("runs/results"), help="default: runs/results")
    three = commands.add_parser("show", help="print a table of any finished runs")
    three.add_argument("run", nargs="+", type=Path, help="run folder", metavar="RUN")
    three.set_defaults(command=show)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, and do what is asked for; the exit code is returned."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    return options.command(options)


if __name__ == "__main__":
    cli.run(main)
