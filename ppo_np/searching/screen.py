"""The progress of several runs: a bar for each on a terminal, otherwise lines."""

import math
import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ppo_np.logs.csv_file import number
from ppo_np.running.output import make_console, shows_bar
from ppo_np.searching.jobs import Ended, Job, Running
from ppo_np.searching.result import rows_of, running_mean

BAR_EVERY, LINES_EVERY = 1.0, 60.0  # seconds


class Screen:
    """Shows the runs that are going on, and a line for each that ends.

    Args:
        total: runs or trials in all; 0 = unknown.
        what: the word for one of them, in the plural.
    """

    def __init__(self, total: int, what: str):
        self._console = make_console()
        self._bars = shows_bar(self._console)
        self._pause = BAR_EVERY if self._bars else LINES_EVERY
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        more = TextColumn("{task.fields[state]}")
        self._progress = Progress(*columns, more, console=self._console, disable=not self._bars, transient=True)
        self._all = self._progress.add_task(what, total=total or None, state="")
        self._tasks: dict[str, TaskID] = {}
        self._next = time.monotonic() + self._pause

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.stop()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, soft_wrap=True)

    def started(self, job: Job) -> None:
        """Print that a job starts or goes on, where there are no bars."""
        if not self._bars:
            self.line(f"{job.name}: {'goes on' if job.begun else 'begins'}")

    def ended(self, one: Ended) -> None:
        """Print how a job has ended."""
        name = one.job.name
        if one.failure:
            self.line(f"{name}: failed: {one.failure}")
        elif one.result:
            means = {"last 100 episodes": one.result["training_return"], "greedy": one.result["greedy_return"]}
            known = ", ".join(f"{what} {mean:.1f}" for what, mean in means.items() if mean is not None)
            self.line(f"{name}: done in {one.seconds:.0f} s: {known or 'no episode has ended'}")
        else:
            self.line(f"{name}: stopped")

    def update(self, running: list[Running], done: int, state: str = "") -> None:
        """Show how far the runs are, not too often: `done` runs or trials are complete, and what `state` says."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._pause
        self._progress.update(self._all, completed=done, state=state)
        for name in self._tasks.keys() - {one.job.name for one in running}:
            self._progress.remove_task(self._tasks.pop(name))
        for one in running:
            job, rows = one.job, rows_of(one.job.folder)
            step, sps = (number(rows[-1], column) for column in ("step", "SPS")) if rows else (0.0, 0.0)
            step, sps = (0.0 if math.isnan(value) else value for value in (step, sps))
            mean = running_mean(rows)
            text = f"{'' if mean is None else f'return {mean:.1f}, '}{sps:,.0f} steps/s" if rows else "starting"
            if not self._bars:
                self.line(f"{job.name}: step {step:,.0f} of {job.steps:,}, {text}")
                continue
            if job.name not in self._tasks:
                self._tasks[job.name] = self._progress.add_task(job.name, total=job.steps, state=text)
            self._progress.update(self._tasks[job.name], completed=min(step, job.steps), state=text)
