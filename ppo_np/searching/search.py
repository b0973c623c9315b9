"""The loop of a search: trials are begun, compared, finished, and taken up again."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_np.config import PPOConfig
from ppo_np.errors import RunError
from ppo_np.running.signals import StopSignals
from ppo_np.searching import study as studies
from ppo_np.searching.grid import Setting
from ppo_np.searching.jobs import STOPPING, Job, Pool
from ppo_np.searching.manifest import writing
from ppo_np.searching.preset_file import write_preset
from ppo_np.searching.screen import Screen
from ppo_np.searching.space import distributions, fields_of, words_of
from ppo_np.searching.trial import RunningTrial

if TYPE_CHECKING:
    from optuna import Study

TRIALS = "trials"  # folder
LOOK_EVERY, KEEP_TIME_EVERY = 1.0, 10.0  # seconds
HOPELESS = 3  # failures before any other trial ends


@dataclass(frozen=True)
class Plan:
    """What a search is to do.

    Attributes:
        base: the settings that a trial changes.
        searched: the parameters, with their values in `base`.
        folder: of the search. best_file: for the best settings.
        trials: in all. seeds: of a trial. steps: of a run. episodes: greedy ones of a finished run.
        limit: seconds for the whole search, over all calls of the command.
        jobs: runs at a time.
    """

    base: Setting
    searched: dict[str, Any]
    folder: Path
    best_file: Path
    trials: int
    seeds: int
    steps: int
    episodes: int
    limit: float
    jobs: int

    def config_of(self, values: dict[str, Any]) -> PPOConfig:
        """The settings that values of the parameters mean; the number of threads is left to the run."""
        config = self.base.options.config
        return dataclasses.replace(config, **fields_of(values, config), threads=0)

    def jobs_of(self, name: str, values: dict[str, Any]) -> list[Job]:
        """The runs of a trial, one for each seed, in the folder `name`."""
        arguments = (*self.base.arguments, *words_of(fields_of(values, self.base.options.config)))
        folder = self.folder / TRIALS / name
        return [
            Job(f"{name}/{run}", folder / run, (*arguments, "--seed", str(seed)), self.steps, self.episodes)
            for seed in range(1, self.seeds + 1)
            for run in [f"seed={seed}"]
        ]


class Search:
    """The trials of a search, and the runs that are going on.

    Args:
        study: Optuna's.
        plan: what is to be done.
    """

    def __init__(self, study: "Study", plan: Plan):
        self._study, self._plan = study, plan
        self._distributions = distributions(plan.searched)
        self._active: list[RunningTrial] = []
        self._counts, self._best = studies.counts(study), studies.best_of(study)
        self._before, self._begun = studies.seconds_of(study), time.monotonic()

    @property
    def seconds(self) -> float:
        """The time that the search has taken, over all calls of the command."""
        return self._before + time.monotonic() - self._begun

    def __str__(self) -> str:
        """The number of trials by their states, and the best return."""
        text = ", ".join(f"{count} {state}" for state, count in self._counts.items())
        return f"{text}, best {self._best.value:.1f}" if self._best else text

    @property
    def _more(self) -> bool:
        """Whether there are trials to begin."""
        return sum(self._counts.values()) + len(self._active) < self._plan.trials

    def run(self, signals: StopSignals) -> None:
        """Do trials until there are enough, the time is over, or a signal comes; then enqueue what was interrupted.

        Raises RunError if the first trials have all failed.
        """
        signals.message = STOPPING
        next_look, next_keep = 0.0, self.seconds
        with Screen(self._plan.trials, "trials") as screen, Pool(self._plan.jobs) as pool:
            screen.line(f"search in {self._plan.folder}, {self._plan.jobs} runs at a time: {self}")
            while True:
                stopping = signals.number > 0 or self.seconds >= self._plan.limit
                if stopping:
                    pool.stop()
                while not stopping and pool.has_room and (job := self._next_job()):
                    pool.start(job)
                for one in pool.ended():
                    for trial in self._active:
                        trial.ended(one, pool)
                self._finish(pool, screen, stopping)
                if not pool.running and (stopping or not (self._active or self._more)):
                    break
                if time.monotonic() >= next_look:
                    next_look = time.monotonic() + LOOK_EVERY
                    for trial in self._active:
                        trial.compare(pool)
                if self.seconds >= next_keep:
                    next_keep = self.seconds + KEEP_TIME_EVERY
                    studies.keep_seconds(self._study, self.seconds)
                screen.update(pool.running, sum(self._counts.values()), str(self))
        studies.keep_seconds(self._study, self.seconds)
        studies.requeue(self._study)

    def _next_job(self) -> Job | None:
        """A run to start, perhaps of a new trial; None if there is none now."""
        if not any(trial.todo for trial in self._active):
            if not self._more:
                return None
            trial = self._study.ask(self._distributions)
            self._active.append(RunningTrial(trial, self._plan.jobs_of(studies.folder_of(trial), trial.params)))
        for active in self._active:
            for job in active.todo:
                if not job.in_use:
                    active.todo.remove(job)
                    return job
        return None

    def _finish(self, pool: Pool, screen: Screen, stopping: bool) -> None:
        """Tell the study of the trials that are over. Those that a signal or the time has stopped are not."""
        for active in list(self._active):
            complete = all(job.result for job in active.jobs)
            if not active.is_over(pool) or (stopping and not (complete or active.pruned or active.failure)):
                continue
            self._active.remove(active)
            screen.line(f"{studies.folder_of(active.trial)}: {active.finish(self._study)}")
            self._counts, self._best = studies.counts(self._study), studies.best_of(self._study)
            if self._best and self._best.number == active.trial.number:
                self.write_best()
            failed = self._counts["failed"]
            if failed >= HOPELESS and failed == sum(self._counts.values()):
                raise RunError(f"the first {failed} trials have failed; the last one: {active.failure}")

    def write_best(self) -> None:
        """Write the settings of the best trial as a preset. Raises RunError if that is not possible."""
        best, plan = self._best, self._plan
        if best is None:
            return
        env_id = plan.base.options.config.env_id
        about = (
            f"Of a search on {env_id}, {plan.steps:,} steps: return {best.value:.1f}, the mean over {plan.seeds} seeds."
        )
        with writing(plan.best_file):
            write_preset(plan.best_file, plan.config_of(best.params), about)
