"""A trial that is going on: the same settings with several seeds, and how it compares with the other trials."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ppo_np.logs.csv_file import number
from ppo_np.searching import study as studies
from ppo_np.searching.jobs import Ended, Job, Pool
from ppo_np.searching.result import rows_of, running_mean, score
from ppo_np.searching.study import RUNGS

if TYPE_CHECKING:
    from optuna import Study, Trial


@dataclass
class RunningTrial:
    """A trial of a search.

    Attributes:
        trial: Optuna's.
        jobs: a run for each seed.
        todo: those that are not done and do not run.
        rung: the tenths of its steps at which it was compared.
        pruned: whether it was worse than the median.
        failure: a sentence about a run that failed.
    """

    trial: "Trial"
    jobs: list[Job]
    todo: list[Job] = field(init=False)
    rung: int = 0
    pruned: bool = False
    failure: str = ""

    def __post_init__(self) -> None:
        self.todo = [job for job in self.jobs if job.result is None]

    def is_over(self, pool: Pool) -> bool:
        """Whether nothing of it runs any more, and nothing is to be started."""
        names = {job.name for job in self.jobs}
        return not self.todo and not any(one.job.name in names for one in pool.running)

    def drop(self, pool: Pool) -> None:
        """Stop its runs, and start no others."""
        self.todo.clear()
        for one in pool.running:
            if one.job in self.jobs:
                one.stop()

    def ended(self, one: Ended, pool: Pool) -> None:
        """Take note of a job that has ended, of this trial or of another one; a failure drops the trial."""
        if one.job in self.jobs and one.failure:
            self.failure = f"{one.job.name}: {one.failure}"
            self.drop(pool)

    def compare(self, pool: Pool) -> None:
        """Report the running mean of the return at each new tenth of the steps, and prune by the median.

        The mean is that over the seeds that have begun, at the time when all of these have got so far.
        """
        begun = [rows for job in self.jobs if job not in self.todo and (rows := rows_of(job.folder))]
        if self.pruned or self.failure or not begun:
            return
        steps = self.jobs[0].steps
        reached = min(number(rows[-1], "step") for rows in begun)
        while self.rung < RUNGS - 1 and reached >= (at := steps * (self.rung + 1) / RUNGS):
            self.rung += 1
            means = [mean for rows in begun if (mean := mean_at(rows, at)) is not None and math.isfinite(mean)]
            if not means:
                continue
            self.trial.report(statistics.mean(means), self.rung)
            if self.trial.should_prune():
                self.pruned = True
                self.drop(pool)
                return

    def finish(self, study: "Study") -> str:
        """Tell the study how the trial has ended, and return that in words."""
        results = [result for job in self.jobs if (result := job.result)]
        scores = [value for result in results if (value := score(result)) is not None and math.isfinite(value)]
        if not self.failure and not self.pruned and len(scores) < len(self.jobs):
            self.failure = "no episode has ended, so there is no return."
        if self.failure:
            studies.fail(study, self.trial, self.failure)
            return f"failed: {self.failure}"
        if self.pruned:
            studies.prune(study, self.trial)
            return f"pruned after {self.rung / RUNGS:.0%} of the steps"
        study.tell(self.trial, statistics.mean(scores))
        return f"return {statistics.mean(scores):.1f}"


def mean_at(rows: Sequence[dict[str, str]], step: float) -> float | None:
    """Mean return of the last 100 episodes when a run had done so many steps; None if no episode had ended."""
    after = next((i for i, row in enumerate(rows) if number(row, "step") >= step), len(rows) - 1)
    return running_mean(list(rows[: after + 1]))
