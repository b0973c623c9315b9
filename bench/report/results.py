"""Results of the presets over several seeds: train them, then write docs/results.md.

    python -m bench.report.results train --presets cartpole acrobot --seeds 1 2 3 4 5
    python -m bench.report.results table
    python -m bench.report.results show RUN [RUN ...]

`train` leaves a run in runs/results/<preset>/<seed>/, its output in <seed>.log beside it, and, when all is done,
results.json in the run folder: how the greedy policy plays 100 episodes with the unseen seeds 10,000 to 10,099. Runs
that have one are kept, whatever their settings; runs that were cut short are done anew. `table` writes
docs/results/<preset>.json for each preset that was trained, and the page from all files there: presets that were not
trained anew stay as they are. `show` prints a Markdown table of any finished runs.
"""

import argparse
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

from bench.machine import ROOT, commit, processor
from bench.report.results_page import document_of, page, preset_cells, read_json, read_results, seed_cells
from bench.report.tables import print_table, table_of
from ppo_np.config import preset_names
from ppo_np.errors import UserError, check
from ppo_np.evaluation.playback import evaluate
from ppo_np.logs.filenames import CHECKPOINT, CONFIG
from ppo_np.plot import read_curve
from ppo_np.running import cli

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
        "versions": document["versions"],
        "machine": {"cpu": processor(), "cores": os.cpu_count()},
    }


def is_finished(run: Path) -> bool:
    """Whether a run has been done there.

    Raises:
        UserError: The folder is not one of a run, so it must not be replaced by one.
    """
    ours = not run.exists() or (run / CONFIG).is_file() or (run.is_dir() and not any(run.iterdir()))
    check(ours, "runs", str(run.parent.parent), f"a folder whose {run.parent.name}/{run.name} is a run or empty")
    return (run / RESULTS).is_file()


def train_one(run: Path, preset: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train in a process of its own, and return what is known only then.

    Raises:
        UserError: The run has failed.
    """
    shared = {name: getattr(options, name) for name in ("threads", "total_timesteps") if getattr(options, name)}
    flags = {"preset": preset, "seed": seed, "run-dir": run.absolute()} | shared
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
    run.parent.mkdir(parents=True, exist_ok=True)
    if run.exists():
        shutil.rmtree(run)
    known = commit() | {"flags": {"jobs": options.jobs} | shared, "date": f"{date.today()}"}
    with open(f"{run}.log", "w") as log:
        command = [sys.executable, "-m", "ppo_np.train", *arguments]
        code = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise UserError(f"{run} has failed: training ended with exit code {code}, see {run}.log.")
    return known


def train(options: argparse.Namespace) -> int:
    """Do all runs that are not there yet, `options.jobs` at a time; evaluate each here when it has ended."""
    check(len(set(options.seeds)) == len(options.seeds), "seeds", options.seeds, "different numbers")
    check(options.jobs >= 1, "jobs", options.jobs, "an integer >= 1")
    every = [(options.runs / preset / str(seed), preset, seed) for preset in options.presets for seed in options.seeds]
    todo, failed = [one for one in every if not is_finished(one[0])], 0
    print(f"{len(todo)} runs to do", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(train_one, *one, options): one[0] for one in todo}
        for future in as_completed(futures):
            run = futures[future]
            try:
                result = future.result() | measure(run)
            except UserError as error:
                print(f"error: {error}", flush=True)
                failed += 1
                continue
            (run / RESULTS).write_text(json.dumps(result) + "\n")
            print(f"{run}: {result['wall_time']:,.0f} s, greedy mean {result['mean']:.1f}", flush=True)
    return cli.FAILED if failed else cli.DONE


def table(options: argparse.Namespace) -> int:
    """Write a JSON file for each preset that was trained, and the page from all files; print its short form."""
    folder = options.out.parent / options.out.stem
    check(options.out.parent.is_dir(), "out", str(options.out), "in a folder that exists")
    folder.mkdir(exist_ok=True)
    for preset, results in read_results(options.runs, RESULTS).items():
        (folder / f"{preset}.json").write_text(json.dumps(document_of(results), indent=1) + "\n")
    documents = [read_json(path) for path in sorted(folder.glob("*.json"))]
    options.out.write_text(page(documents))
    rows = [preset_cells(document) for document in documents]
    print_table(str(options.out), SHORT, [[cells[name] for name in SHORT] for cells in rows])
    return cli.DONE


def show(options: argparse.Namespace) -> int:
    """Print a Markdown table, a row a run."""
    print(table_of([seed_cells(measure(run)) for run in options.run]))
    return cli.DONE


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Options from the command line; `command` is the function that they are for."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench.report.results", description=__doc__, formatter_class=form)
    commands = parser.add_subparsers(required=True, metavar="train|table|show")
    one = commands.add_parser("train", help="train and evaluate what has not been yet")
    one.add_argument(
        "--presets", nargs="+", choices=preset_names(), default=preset_names(), metavar="NAME", help="default: all"
    )
    one.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], metavar="S", help="default: 1 to 5")
    one.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    one.add_argument("--threads", type=int, default=1, help="BLAS threads of a run (default: 1)")
    one.add_argument("--total-timesteps", type=int, help="instead of the preset's, for a trial")
    one.set_defaults(command=train)
    two = commands.add_parser("table", help="write the page")
    two.add_argument("--out", type=Path, default=Path("docs/results.md"), help="default: docs/results.md")
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
