"""Results of the presets over several seeds: train them, then write docs/results.md.

    python -m bench.report.results train --presets cartpole acrobot --seeds 1 2 3 4 5
    python -m bench.report.results train --presets generic --seeds 11 12 13
    python -m bench.report.results table
    python -m bench.report.results show RUN [RUN ...]

A name of --presets is that of a preset or of one of the `CASES`: a preset with other flags, such as an environment. The
name generic stands for all cases of the generic presets.

`train` leaves a run in runs/results/<name>/<seed>/, its output in <seed>.log beside it, and, when all is done,
results.json in the run folder: how the greedy policy plays 100 episodes with the unseen seeds 10,000 to 10,099. Runs
that have one are kept, whatever their settings; runs that were cut short are done anew. `table` writes
docs/results/<name>.json for each name that was trained, and the page from all files there: presets that were not
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

from bench.contests.contest import write
from bench.machine import ROOT, commit, processor
from bench.report.cases import CASES, GENERIC
from bench.report.results_page import document_of, page, preset_cells, read_results, seed_cells
from bench.report.tables import print_table, table_of
from ppo_np.config import GENERIC_CONTINUOUS, GENERIC_DISCRETE, preset_names
from ppo_np.errors import UserError
from ppo_np.evaluation.playback import evaluate
from ppo_np.logs.filenames import CHECKPOINT, CONFIG
from ppo_np.plot import read_curve
from ppo_np.running import cli

EPISODES, FIRST_SEED = 100, 10_000
RESULTS = "results.json"
NO_ENVIRONMENT = GENERIC_DISCRETE, GENERIC_CONTINUOUS
SHORT = ("preset", "seeds", "time", "greedy return, IQM", "95% interval", "worst seed", "seeds at threshold")


def measure(run: Path) -> dict[str, Any]:
    """What a run has reached: its steps and seconds, and how its greedy policy plays.

    `training_return` is the mean over the last 100 training episodes (all episodes of the rows of metrics.csv that hold
    them).
    """
    document = json.loads((run / CONFIG).read_text())
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


def train_one(run: Path, name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train in a process of its own, and return what is known only then; UserError if the run has failed."""
    shared = {name: getattr(options, name) for name in ("threads", "total_timesteps") if getattr(options, name)}
    flags = {"seed": seed, "run-dir": run.absolute()} | shared
    arguments = CASES.get(name, ["--preset", name]) + [f"--{k.replace('_', '-')}={v}" for k, v in flags.items()]
    run.parent.mkdir(parents=True, exist_ok=True)
    if (run / CONFIG).is_file():  # cut short; a folder that is no run is left to training, which refuses it
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
    names = [name for given in options.presets for name in (GENERIC if given == "generic" else [given])]
    every = [(options.runs / name / str(seed), name, seed) for name in names for seed in options.seeds]
    todo, failed = [one for one in every if not (one[0] / RESULTS).is_file()], 0
    print(f"{len(todo)} runs to do", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(train_one, *one, options): one[0] for one in todo}
        for future in as_completed(futures):
            run = futures[future]
            try:
                result = future.result() | measure(run) | {"preset": run.parent.name}
            except UserError as error:
                print(f"error: {error}", flush=True)
                failed += 1
                continue
            write(run / RESULTS, result)
            print(f"{run}: {result['wall_time']:,.0f} s, greedy mean {result['mean']:.1f}", flush=True)
    return cli.FAILED if failed else cli.DONE


def table(options: argparse.Namespace) -> int:
    """Write a JSON file for each preset that was trained, and the page from all files; print its short form."""
    folder = options.out.with_suffix("")
    for preset, results in read_results(options.runs, RESULTS).items():
        write(folder / f"{preset}.json", document_of(results))
    documents = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    options.out.write_text(page(documents))
    rows = [preset_cells(document) for document in documents]
    print_table(str(options.out), SHORT, [[cells[name] for name in SHORT] for cells in rows])
    return cli.DONE


def show(options: argparse.Namespace) -> int:
    """Print a Markdown table, a row a run."""
    print(table_of([seed_cells(measure(run)) for run in options.run]))
    return cli.DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, and do what is asked for; the exit code is returned."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m bench.report.results", description=__doc__, formatter_class=form)
    commands = parser.add_subparsers(required=True, metavar="train|table|show")
    names, runs = [*set(preset_names()).difference(NO_ENVIRONMENT), *CASES], Path("runs/results")
    one = commands.add_parser("train", help="train and evaluate what has not been yet")
    one.add_argument(
        "--presets",
        nargs="+",
        choices=[*sorted(names), "generic"],
        default=sorted(names),
        metavar="NAME",
        help="default: all",
    )
    one.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], metavar="S", help="default: 1 to 5")
    one.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    one.add_argument("--threads", type=int, default=1, help="BLAS threads of a run (default: 1)")
    one.add_argument("--total-timesteps", type=int, help="instead of the preset's, for a trial")
    two = commands.add_parser("table", help="write the page")
    two.add_argument("--out", type=Path, default=Path("docs/results.md"), help="default: docs/results.md")
    three = commands.add_parser("show", help="print a table of any finished runs")
    three.add_argument("run", nargs="+", type=Path, help="run folder", metavar="RUN")
    for command, function in ((one, train), (two, table), (three, show)):
        command.set_defaults(command=function)
        if command is not three:
            command.add_argument("--runs", type=Path, default=runs, help="default: runs/results")
    options = parser.parse_args(arguments)
    return options.command(options)


if __name__ == "__main__":
    cli.run(main)
