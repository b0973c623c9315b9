"""A sweep: the train command with every combination of settings and seeds, and a table of what they reach."""

import dataclasses
import itertools
import shlex
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ppo_np.errors import UserError, check
from ppo_np.running import cli
from ppo_np.running.output import make_console
from ppo_np.running.signals import StopSignals
from ppo_np.searching.grid import Setting, Words, axes, separate, settings
from ppo_np.searching.jobs import STOPPING, Job, Pool, check_jobs, number_of
from ppo_np.searching.manifest import arguments_of, held, new_folder, read_manifest, write_manifest, writing
from ppo_np.searching.screen import Screen

PROGRAM = "python -m ppo_np.sweep"
MANIFEST, TABLE = "sweep.json", "sweep.csv"


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Train with every combination of settings and seeds, several runs at a time, and compare the settings.

    All flags of `python -m ppo_np.train` are allowed, and each may have several values:
    `--learning-rate 1e-3 3e-4`, `--norm-obs --no-norm-obs`. A flag that takes a list is repeated:
    `--policy-sizes 64 64 --policy-sizes 128 128`. The same command again goes on with what was interrupted or failed.
    """

    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of each setting."""
    jobs: int = 0
    """Runs at a time, each on one core; 0 = one per core."""
    run_dir: Path | None = None
    """Folder for all runs, the table, and what is needed to go on (default: runs/<env>__sweep__<time>)."""
    greedy_episodes: int = 20
    """Episodes that each finished run plays with its most probable actions, from unseen seeds; 0 = none."""
    resume: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Go on with the sweep in this folder; only --jobs may be given as well."""

    def __post_init__(self) -> None:
        check(bool(self.seeds), "seeds", [], "one seed or more")
        check(len(set(self.seeds)) == len(self.seeds), "seeds", list(self.seeds), "seeds that differ")
        check(min(self.seeds) >= 0, "seeds", list(self.seeds), "integers >= 0")
        check_jobs(self.jobs)
        check(self.greedy_episodes >= 0, "greedy_episodes", self.greedy_episodes, "an integer >= 0")


def parse(arguments: Sequence[str]) -> tuple[SweepOptions, list[Words]]:
    """The options of a sweep, and its flags of train. With --resume, those of the command that began in the folder.

    Raises UserError and SystemExit as `cli.parse_with_preset`.
    """
    own, others = separate(arguments, SweepOptions.__dataclass_fields__)
    options = _parse_own(own)
    if options.resume is None:
        return options, others
    allowed = {group[0] for group in separate(own, ())[1]} <= {"--resume", "--jobs"} and not others
    check(allowed, "resume", str(options.resume), "alone, or with --jobs: the other flags are those of its command")
    folder = options.resume.absolute()
    kept, others = separate(arguments_of(folder, MANIFEST), SweepOptions.__dataclass_fields__)
    return _parse_own([*kept, "--run-dir", str(folder), "--jobs", str(options.jobs), "--resume", str(folder)]), others


def _parse_own(own: list[str]) -> SweepOptions:
    with cli.NUMBERS:
        return tyro.cli(SweepOptions, args=own, prog=PROGRAM)


def sweep(arguments: Sequence[str], signals: StopSignals) -> int:
    """Do all runs that are not done yet, print the table, and return the exit code: 1 if a run has failed.

    A signal saves and stops all runs; the code is then 128 + its number.

    Raises UserError if an argument is not allowed, or if the folder has a run of the same name with other settings.
    """
    options, others = parse(arguments)
    points = settings(axes(others), PROGRAM)
    for point, seed in itertools.product(points, options.seeds):
        dataclasses.replace(point.options.config, seed=seed)  # raises UserError for a seed that is not allowed
    folder = new_folder(options.run_dir, points[0].options.config.env_id, "sweep")
    table = [[_job(folder, point, seed, options.greedy_episodes) for seed in options.seeds] for point in points]
    jobs = [row[i] for i in range(len(options.seeds)) for row in table]  # the first seed of all settings comes first
    with held(folder, MANIFEST) as known:
        _keep_manifest(folder, jobs, known, None if options.resume else list(arguments))
        failed = run_jobs(jobs, number_of(options.jobs), signals)
        _report(folder, points, table)
    for sentence in failed:
        print(f"failed: {sentence}", file=sys.stderr)
    if any(job.result is None for job in jobs):
        print(f"to go on: {PROGRAM} --resume {shlex.quote(str(folder))}")
    return signals.exit_code or (cli.FAILED if failed else cli.DONE)


def _job(folder: Path, point: Setting, seed: int, episodes: int) -> Job:
    name = f"{point.name}/seed={seed}".lstrip("/")
    arguments = (*point.arguments, "--seed", str(seed))
    return Job(name, folder / name, arguments, point.options.config.total_timesteps, episodes)


def _keep_manifest(folder: Path, jobs: Sequence[Job], known: bool, arguments: list[str] | None) -> None:
    """Write the runs of this command to those in the manifest; `arguments` None keeps those of the command there.

    Raises UserError if a run there has other settings.
    """
    before = read_manifest(folder, MANIFEST) if known else {}
    runs: dict[str, str] = before.get("runs", {})
    for job in jobs:
        asked = shlex.join(job.arguments)
        kept = runs.setdefault(job.name, asked)
        if kept != asked:
            raise UserError(f"run_dir is {str(folder)!r}, but there {job.name} is the run {kept}, not {asked}.")
    write_manifest(folder, MANIFEST, before["arguments"] if arguments is None else arguments, {"runs": runs})


def run_jobs(jobs: Sequence[Job], size: int, signals: StopSignals) -> list[str]:
    """Do the jobs that have no result yet, at most `size` at a time, until a signal comes.

    Returns a sentence for each that has failed. A failure does not end the others. A job whose folder is still in use
    by another process waits.
    """
    todo = deque(job for job in jobs if job.result is None)
    failed = []
    signals.message = STOPPING
    with Screen(len(jobs), "runs") as screen, Pool(size) as pool:
        screen.line(f"{len(jobs)} runs, {len(jobs) - len(todo)} of them done, {size} at a time")
        while (todo and not signals.number) or pool.running:
            for _ in range(len(todo) if pool.has_room and not signals.number else 0):
                job = todo.popleft()
                if pool.has_room and not job.in_use:
                    screen.started(job)
                    pool.start(job)
                else:
                    todo.append(job)
            for one in pool.ended():
                screen.ended(one)
                failed += [f"{one.job.name}: {one.failure}"] if one.failure else []
            if signals.number:
                pool.stop()
            waiting = len(todo) + len(pool.running)
            screen.update(pool.running, len(jobs) - waiting, f"{len(failed)} failed" if failed else "")
    return failed


def _report(folder: Path, points: Sequence[Setting], table: Sequence[Sequence[Job]]) -> None:
    """Print the table of what is finished, and write it as CSV."""
    from ppo_np.searching.table import as_table, table_rows, write_csv  # SciPy's statistics take half a second

    results = [[result for job in row if (result := job.result)] for row in table]
    rows = table_rows(points, results, len(table[0]))
    if not rows:
        return
    make_console().print(as_table(rows, list(points[0].values)))
    with writing(folder / TABLE):
        write_csv(folder / TABLE, rows)
    print(f"table: {folder / TABLE}")
