"""One training run from options to files: the run folder, its loggers, checkpoints, signals and the final summary."""

from contextlib import ExitStack, closing
from pathlib import Path

import gymnasium
import numpy as np
from rich.console import Console

from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.film import VideoOptions
from ppo_np.environments.make import make_env
from ppo_np.errors import DivergedError, EnvironmentFault, SavingError, UserError
from ppo_np.evaluation.periodic import EVAL, PeriodicEvaluation
from ppo_np.learning.metrics import Metrics
from ppo_np.learning.ppo import PPO
from ppo_np.learning.resume_point import lost_environments_warning
from ppo_np.logs.filenames import CHECKPOINT, CRASH, EVALUATIONS, VIDEOS
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.logger import ConsoleLogger
from ppo_np.logs.run_logs import RunLogs
from ppo_np.network.threads import blas_threads
from ppo_np.running import resume
from ppo_np.running.interval import Interval
from ppo_np.running.options import TrainOptions
from ppo_np.running.run_folder import as_user_error, default_folder, open_run_folder, write_config
from ppo_np.running.saver import Saver
from ppo_np.running.signals import StopSignals
from ppo_np.running.summary import differences, model_table, ranks_line, recent_means, summary
from ppo_np.saving.checkpoint import Checkpoint, previous_of
from ppo_np.saving.crash_file import write_crash


def train(options: TrainOptions, signals: StopSignals, ranks: Ranks = ALONE) -> int:
    """Do the run that the options describe, or go on with it.

    Args:
        options: of the command line.
        signals: active; a signal stops training after the current step.
        ranks: that do the run together, from the same options; rank 0 alone speaks and writes.

    Returns:
        0 when all steps are done, 128 + the signal's number (130 for Ctrl-C) when a signal ended it; once training has
        begun, the checkpoint is written either way.

    Raises:
        UserError: The environment cannot be trained on, or memory is too small; no run folder is left then.
        DivergedError: A number in the computation was not finite.
        EnvironmentFault: An environment failed.
        SavingError: Training ended as it should, but its last state is not on disk.
    """
    quiet = ranks.rank > 0
    console, errors = Console(quiet=quiet), Console(stderr=True, quiet=quiet, soft_wrap=True, highlight=False)
    incidents = Incidents(lambda sentence: errors.print(f"warning: {sentence}"))
    with ExitStack() as at_end:
        folder, going_on, saved, damage = ranks.broadcast(lambda: _begin(options, at_end))
        if saved and _is_done(saved, options):
            done = saved.counters["global_step"]
            console.print(f"The run has done its {done:,} steps; --total-timesteps M adds M steps.", highlight=False)
            return 0
        ppo = at_end.enter_context(closing(_make_ppo(options, folder, saved, ranks)))
        _stop_at_signal(ppo, signals)
        if ranks.any(signals.number > 0):
            return _exit_code(signals, ranks, errors)
        # Made before there is a folder: EnvPool has ids that Gymnasium has not.
        eval_env = make_env(options.config.env_id) if options.eval_every else None
        if not going_on and ranks.rank == 0:
            at_end.enter_context(open_run_folder(folder))
        lost = lost_environments_warning(ppo.lost_envs, ppo.global_step)
        for sentence in filter(None, [damage, *differences(saved, ranks), lost]):
            errors.print(f"warning: {sentence}")
        if ranks.size > 1:
            console.print(ranks_line(ranks), highlight=False, soft_wrap=True)
        console.print(model_table(ppo.policy.model))
        _learn(ppo, eval_env, folder, options, saved, console, incidents)
    exit_code = _exit_code(signals, ranks, errors)
    console.print(summary(ppo, folder, options, interrupted=exit_code > 0), highlight=False)
    if incidents.lasting:
        raise SavingError(incidents.summary())
    return exit_code


def _begin(options: TrainOptions, at_end: ExitStack) -> tuple[Path, bool, Checkpoint | None, str | None]:
    """What rank 0 finds on its disk: the folder, whether a run goes on there, its checkpoint, what is wrong with it."""
    folder = _folder(options)
    going_on = options.resume is not None and folder.exists()
    if going_on:  # nobody else may write there from now on
        at_end.enter_context(open_run_folder(folder))
    saved, damage = resume.read_run(options.resume) if options.resume else (None, None)
    if damage and folder == options.resume:  # or the next save would take the damaged one for the one before
        previous_of(folder / CHECKPOINT).replace(folder / CHECKPOINT)
    return folder, going_on, saved, damage


def _stop_at_signal(ppo: PPO, signals: StopSignals) -> None:
    """Let a signal stop training, beside what it does already."""
    before = signals.on_stop

    def stop() -> None:
        before()
        ppo.stop()

    signals.on_stop = stop


def _exit_code(signals: StopSignals, ranks: Ranks, errors: Console) -> int:
    """Of all ranks: that of the first one that got a signal."""
    codes = ranks.allgather_array(np.array(signals.exit_code))
    first = int((codes > 0).argmax())
    if first > 0:
        errors.print(f"rank {first} got signal {codes[first] - 128}: all ranks have stopped.")
    return int(codes[first])


def _folder(options: TrainOptions) -> Path:
    """Of a run that goes on: its own, unless another one is asked for."""
    return options.run_dir or (options.resume and resume.folder_of(options.resume)) or default_folder(options)


def _is_done(saved: Checkpoint, options: TrainOptions) -> bool:
    """Whether all steps are done; the last evaluation, if there is to be one, may have been stopped."""
    return saved.counters["global_step"] >= options.config.total_timesteps and not options.eval_every


def _make_ppo(options: TrainOptions, folder: Path, saved: Checkpoint | None, ranks: Ranks) -> PPO:
    films = options.capture_video and ranks.rank == 0  # who has environment 0
    video = VideoOptions(folder / VIDEOS, options.video_every) if films else None
    try:
        return PPO(options.config, video=video, resume=saved, ranks=ranks)
    except MemoryError as error:
        raise UserError("The network and the rollout do not fit into memory: choose smaller sizes.") from error


def _learn(
    ppo: PPO, eval_env: gymnasium.Env | None, folder: Path, options: TrainOptions, saved: Checkpoint | None,
    console: Console, incidents: Incidents,
) -> None:  # fmt: skip
    """Train with loggers and checkpoints; the last checkpoint is written however training ends, if it can go on there.

    A checkpoint comes last in an update: everything that is logged of the update is on disk by then.
    """
    ranks, evaluation, logs = ppo.ranks, None, None
    with ExitStack() as at_end:
        with as_user_error(folder):
            if eval_env:
                every, episodes = options.eval_every, options.eval_episodes
                evaluation = PeriodicEvaluation(ppo, eval_env, folder, every, episodes, incidents)
                at_end.enter_context(closing(evaluation))
            if ranks.rank == 0:
                threads = blas_threads(options.config, ppo.policy.observations.size, ranks)
                write_config(folder, options, threads, ranks.size, saved)
                screen = ConsoleLogger(console, options.config.total_timesteps, options.log_every)
                at_end.enter_context(closing(screen))
                again = EVAL if evaluation and evaluation.is_due(ppo) else None
                logs = RunLogs(ppo, folder, screen, again, incidents)
                if evaluation:
                    logs.files[folder / EVALUATIONS] = evaluation.log
        tensorboard = logs and logs.tensorboard
        saver = Saver(ppo, folder, Interval.parse(options.checkpoint_every), logs.files if logs else {}, incidents)

        def after_update(ppo: PPO, metrics: Metrics) -> None:
            if logs:
                logs.log(metrics, *recent_means(ppo))
            if evaluation:
                evaluation.after_update(ppo, tensorboard)
            saver.after_update()

        if not ppo.update:
            saver.save()  # from the first moment on there is something to go on from
        elif evaluation:
            evaluation.after_update(ppo, tensorboard)  # a signal may have come in the midst of it
        together = False
        try:
            ppo.learn(after_update)
            together = True
        except (DivergedError, EnvironmentFault) as error:
            if error.crash and folder.is_dir():
                with incidents.of(folder / CRASH):
                    write_crash(folder / CRASH, error.crash)
                    error.add_note(f"See where it comes from: python -m ppo_np.replay {folder / CRASH}")
            raise
        finally:
            if ppo.resumable and (together or ranks.size == 1):  # several ranks can only save together
                saver.save()
