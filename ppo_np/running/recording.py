"""What a run leaves in its folder while it learns: logs, evaluations, checkpoints and, if it fails, a crash file."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
from rich.console import Console

from ppo_np.errors import DivergedError, EnvironmentFault
from ppo_np.evaluation.periodic import EVAL, PeriodicEvaluation
from ppo_np.learning.callbacks import Callback, run_callbacks
from ppo_np.learning.metrics import Metrics
from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import BEST, CHECKPOINT, CRASH, EVALUATIONS
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.logger import ConsoleLogger
from ppo_np.logs.run_logs import RunLogs
from ppo_np.network.threads import blas_threads
from ppo_np.running import resume
from ppo_np.running.interval import Interval
from ppo_np.running.options import TrainOptions
from ppo_np.running.output import shows_bar
from ppo_np.running.run_folder import as_user_error, open_run_folder, write_config
from ppo_np.running.saver import Saver
from ppo_np.running.summary import recent_means
from ppo_np.saving.checkpoint import Checkpoint, previous_of
from ppo_np.saving.crash_file import Crash, write_crash
from ppo_np.saving.files import sync_folder


def open_run(options: TrainOptions, at_end: ExitStack) -> tuple[Path, Checkpoint | None, list[str]]:
    """The run folder, locked until `at_end` ends; the checkpoint to resume from; and warnings about both.

    Raises UserError as `open_run_folder` and `read_run`.
    """
    folder = at_end.enter_context(open_run_folder(options))
    saved, damage = resume.read_run(options.resume) if options.resume else (None, None)
    with as_user_error(folder):
        if damage and folder == options.resume:  # otherwise the next save keeps the damaged one as the previous one
            previous_of(folder / CHECKPOINT).replace(folder / CHECKPOINT)
        safe = sync_folder(folder)
    unsafe = f"the disk of {folder} cannot be made to keep new files at once: a power failure may cost checkpoints."
    return folder, saved, [warning for warning in (damage, None if safe else unsafe) if warning]


@dataclass(frozen=True)
class Recording:
    """Training with logs, evaluations and checkpoints in a run folder; `recording` makes it.

    Attributes:
        ppo, folder, incidents: as for `recording`.
        saver: writes the checkpoints.
        saves_first: whether a checkpoint is written before the first update.
        logs, screen: None on ranks > 0. evaluation: None if there is none.
    """

    ppo: PPO
    folder: Path
    incidents: Incidents
    saver: Saver
    saves_first: bool
    logs: RunLogs | None
    screen: ConsoleLogger | None
    evaluation: PeriodicEvaluation | None

    def learn(self, callbacks: Sequence[Callback] = ()) -> None:
        """Train. If the state is resumable at the end, also after an error, save it.

        `callbacks` are called after each update, before its logs are written, and can stop the training.
        """
        ppo = self.ppo

        def after_update(_: PPO, metrics: Metrics) -> bool:
            return self._after_update(metrics, callbacks)

        if self.saves_first:
            self.saver.save()  # so that the run can be resumed from here, with these settings
        if ppo.update:
            self._evaluate()  # a signal may have interrupted it
        completed = False
        try:
            PPO.learn(ppo, after_update)  # of a subclass, `learn` may record a run itself
            completed = True
        except (DivergedError, EnvironmentFault) as error:
            self._write_crash(error)
            raise
        finally:
            if ppo.resumable and (completed or ppo.ranks.size == 1):  # several ranks can only save together
                self.saver.save()

    def _after_update(self, metrics: Metrics, callbacks: Sequence[Callback]) -> bool:
        """Write what belongs to an update. Returns False if a callback wants to stop.

        The checkpoint of an update is written last, when all its logs are on disk; the logs are written even if a
        callback raises an exception, because a checkpoint follows then, too.
        """
        try:
            go_on = run_callbacks(callbacks, self.ppo, metrics)
        finally:
            if self.logs:
                self.logs.log(metrics, *recent_means(self.ppo), self.ppo.logged.means())
        self._evaluate()
        self.saver.after_update()
        return go_on

    def _evaluate(self) -> None:
        if self.evaluation:
            self.evaluation.after_update(self.ppo, self.logs.tensorboard if self.logs else None, self.screen)

    def _write_crash(self, error: DivergedError | EnvironmentFault) -> None:
        """Write the crash file of an error that has one."""
        if isinstance(error.crash, Crash) and self.folder.is_dir():
            with self.incidents.of(self.folder / CRASH):
                write_crash(self.folder / CRASH, error.crash)
                error.add_note(f"See where it comes from: python -m ppo_np.replay {self.folder / CRASH}")


@contextmanager
def recording(
    ppo: PPO, folder: Path, options: TrainOptions, console: Console, incidents: Incidents,
    saved: Checkpoint | None = None, eval_env: gymnasium.Env | None = None,
    overrides: list[dict[str, Any]] | None = None,
) -> Iterator[Recording]:  # fmt: skip
    """A context with the files of a run folder open. All ranks must enter it; only rank 0 writes.

    Args:
        ppo: what is to be trained. folder: the run folder, open and locked. options: of the run.
        console: shows the progress. incidents: records files that cannot be written.
        saved: the checkpoint of the run that goes on; None if it begins.
        eval_env: the environment of evaluations, if the options have them; it is closed at the end.
        overrides: settings that change now, as from `resume.overridden`.

    Raises UserError if a file cannot be made.
    """
    evaluation: PeriodicEvaluation | None = None
    logs: RunLogs | None = None
    screen: ConsoleLogger | None = None
    with ExitStack() as at_end:
        with as_user_error(folder):
            if eval_env:
                every, episodes = options.eval_every, options.eval_episodes
                evaluation = PeriodicEvaluation(ppo, eval_env, folder, every, episodes, incidents)
                at_end.enter_context(closing(evaluation))
            if ppo.ranks.rank == 0:
                threads = blas_threads(options.config, ppo.policy.observations.size, ppo.ranks)
                records = resume.all_overrides(folder, saved, overrides or []) if saved else []
                resumed_at = ppo.global_step if saved or ppo.update else None
                write_config(folder, options, threads, ppo.ranks.size, resumed_at, records)
                steps, bar = options.config.total_timesteps, shows_bar(console)
                screen = ConsoleLogger(console, steps, options.log_every, bar)
                at_end.enter_context(closing(screen))
                repeated_tags = EVAL if evaluation and evaluation.is_due(ppo) else None
                logs = RunLogs(ppo, folder, screen, repeated_tags, incidents)
                if options.track:
                    at_end.enter_context(logs.track(options.track))
                if evaluation and evaluation.log:
                    logs.files |= {folder / EVALUATIONS: evaluation.log, folder / BEST: evaluation.best_file}
        saver = Saver(ppo, folder, Interval.parse(options.checkpoint_every), logs.files if logs else {}, incidents)
        saves_first = not ppo.update or bool(overrides)
        yield Recording(ppo, folder, incidents, saver, saves_first, logs, screen, evaluation)
