"""One training run: its folder, logs, checkpoints, signals and final summary."""

from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numba.core.event import install_listener
from rich.console import Console

from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.film import VideoOptions
from ppo_np.errors import DivergedError, EnvironmentFault, SavingError, UserError
from ppo_np.evaluation.episodes import evaluation_env, obstacle, step_limit
from ppo_np.evaluation.periodic import EVAL, PeriodicEvaluation
from ppo_np.learning.metrics import Metrics
from ppo_np.learning.ppo import PPO
from ppo_np.learning.resume_point import lost_environments_warning
from ppo_np.logs.filenames import BEST, CHECKPOINT, CRASH, EVALUATIONS, VIDEOS
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.logger import ConsoleLogger
from ppo_np.logs.run_logs import RunLogs
from ppo_np.network.threads import blas_threads
from ppo_np.running import cli, resume
from ppo_np.running.interval import Interval
from ppo_np.running.options import TrainOptions
from ppo_np.running.output import make_console, shows_bar
from ppo_np.running.run_folder import as_user_error, open_run_folder, write_config
from ppo_np.running.saver import Saver
from ppo_np.running.signals import StopSignals
from ppo_np.running.summary import (
    CompilationNotice,
    differences,
    model_table,
    ranks_line,
    recent_means,
    start_line,
    summary,
)
from ppo_np.saving.checkpoint import Checkpoint, previous_of
from ppo_np.saving.crash_file import Crash, write_crash
from ppo_np.saving.files import sync_folder
from ppo_np.saving.foreign import foreign_code


def train(options: TrainOptions, signals: StopSignals, ranks: Ranks = ALONE) -> int:
    """Start the run that the options describe, or resume it, and return the exit code.

    The code is 0 if all steps are done, or 128 + the number of the signal (130 for Ctrl-C) that stopped the run. Once
    training has begun, the checkpoint is written in both cases. All ranks have the same options; only rank 0 prints and
    writes. An active signal stops training after the current step.

    Raises:
        UserError: The environment cannot be used, or memory is too small; no run folder is left.
        DivergedError: A number in the computation was not finite.
        EnvironmentFault: An environment failed.
        SavingError: Training ended normally, but its last state is not on disk.
    """
    quiet = ranks.rank > 0
    console, errors = make_console(quiet=quiet), make_console(stderr=True, quiet=quiet, soft_wrap=True)
    tell = partial(console.print, soft_wrap=True)  # paths are not broken
    incidents = Incidents(lambda sentence: errors.print(f"warning: {sentence}"))
    with ExitStack() as at_end:
        at_end.enter_context(install_listener("numba:compile", CompilationNotice(tell)))
        folder, saved, doubts = ranks.broadcast(lambda: _open(options, at_end))
        saved, overrides = resume.overridden(saved, options.config) if saved else (None, [])
        done = saved.counters["global_step"] if saved else 0
        if done >= options.config.total_timesteps and not options.eval_every:  # the last evaluation may be missing
            tell(f"The run has done its {done:,} steps; --total-timesteps M adds M steps.")
            return 0
        for notice in foreign_code(saved.path, options.config) if saved else []:
            errors.print(f"warning: {notice}")
        ppo = at_end.enter_context(closing(_make_ppo(options, folder, saved, ranks)))
        ppo.load_schedules()
        _stop_at_signal(ppo, signals)
        if ranks.any(signals.number > 0):
            return _exit_code(signals, ranks, errors)
        no_evaluation = _no_evaluation(options, ppo)
        eval_env = None
        if options.eval_every:
            eval_env = evaluation_env(options.config, options.eval_max_episode_steps)
        lost = lost_environments_warning(ppo.lost_envs, ppo.global_step)
        for warning in filter(None, [*doubts, *differences(saved, ranks), lost, no_evaluation]):
            errors.print(f"warning: {warning}")
        if ranks.size > 1:
            tell(ranks_line(ranks))
        if not saved and (line := cli.preset_line(options.preset, options.config)):
            tell(line)
        tell(start_line(ppo, saved, folder, options.config.total_timesteps))
        if overrides:
            tell(resume.override_line(overrides))
        if options.init_from and not saved:
            tell(f"weights of {options.init_from}{', with its statistics of observations' * options.config.norm_obs}")
        console.print(model_table(ppo.policy.model))
        if eval_env:
            text = f"evaluations: {options.eval_episodes} episodes of at most {step_limit(eval_env):,} steps"
            tell(f"{text} (--eval-max-episode-steps)")
        _learn(ppo, eval_env, folder, options, saved, overrides, console, incidents)
    exit_code = _exit_code(signals, ranks, errors)
    tell(summary(ppo, folder, options, interrupted=exit_code > 0))
    if incidents.lasting:
        raise SavingError(incidents.summary())
    return exit_code


def _open(options: TrainOptions, at_end: ExitStack) -> tuple[Path, Checkpoint | None, list[str]]:
    """The locked run folder, the checkpoint to resume from, and warnings about both."""
    folder = at_end.enter_context(open_run_folder(options))
    saved, damage = resume.read_run(options.resume) if options.resume else (None, None)
    with as_user_error(folder):
        if damage and folder == options.resume:  # otherwise the next save keeps the damaged one as the previous one
            previous_of(folder / CHECKPOINT).replace(folder / CHECKPOINT)
        safe = sync_folder(folder)
    unsafe = f"the disk of {folder} cannot be made to keep new files at once: a power failure may cost checkpoints."
    return folder, saved, [warning for warning in (damage, None if safe else unsafe) if warning]


def _no_evaluation(options: TrainOptions, ppo: PPO) -> str:
    """A warning if the policy cannot play single environments, which evaluations do; a `UserError` if it must."""
    vectorization, env_id = options.config.vectorization, options.config.env_id
    reason = obstacle(options.config, ppo.envs) if vectorization in ("vector", "envpool") else ""
    if reason and options.eval_every:
        remedy = "leave --eval-every away, or train with --vectorization sync or async and an id that Gymnasium has"
        given = f"eval_every is {options.eval_every}"
        raise UserError(f"{given}, but evaluations play single environments: {reason}; {remedy}.")
    remedy = "an id of Gymnasium's with the spaces of the training (--env-id)"
    return reason and f"ppo_np.evaluate cannot play {env_id} by itself: {reason}; it will need {remedy}."


def _stop_at_signal(ppo: PPO, signals: StopSignals) -> None:
    """Make a signal stop training, in addition to its present action."""
    before = signals.on_stop

    def stop() -> None:
        before()
        ppo.stop()

    signals.on_stop = stop


def _exit_code(signals: StopSignals, ranks: Ranks, errors: Console) -> int:
    """The exit code of the first rank that got a signal, else 0."""
    codes = ranks.allgather_array(np.array(signals.exit_code))
    first = int((codes > 0).argmax())
    if first > 0:
        errors.print(f"rank {first} got signal {codes[first] - 128}: all ranks have stopped.")
    return int(codes[first])


def _make_ppo(options: TrainOptions, folder: Path, saved: Checkpoint | None, ranks: Ranks) -> PPO:
    films = options.capture_video and ranks.rank == 0  # rank 0 has environment 0
    video = VideoOptions(folder / VIDEOS, options.video_every) if films else None
    try:
        init_from = None if saved else options.init_from
        return PPO(options.config, video=video, resume=saved, ranks=ranks, init_from=init_from)
    except MemoryError as error:
        raise UserError("The network and the rollout do not fit into memory: choose smaller sizes.") from error


def _learn(
    ppo: PPO, eval_env: gymnasium.Env | None, folder: Path, options: TrainOptions, saved: Checkpoint | None,
    overrides: list[dict[str, Any]], console: Console, incidents: Incidents,
) -> None:  # fmt: skip
    """Train with logs and checkpoints. If the state is resumable at the end, also after an error, save it.

    The checkpoint of an update is written last, when all logs of the update are on disk.
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
                records = resume.all_overrides(folder, saved, overrides) if saved else []
                write_config(folder, options, threads, ppo.ranks.size, saved, records)
                steps, bar = options.config.total_timesteps, shows_bar(console)
                screen = ConsoleLogger(console, steps, options.log_every, bar)
                at_end.enter_context(closing(screen))
                repeated_tags = EVAL if evaluation and evaluation.is_due(ppo) else None
                logs = RunLogs(ppo, folder, screen, repeated_tags, incidents)
                if options.track:
                    at_end.enter_context(logs.track(options.track))
                if evaluation and evaluation.log:
                    logs.files |= {folder / EVALUATIONS: evaluation.log, folder / BEST: evaluation.best_file}
        tensorboard = logs.tensorboard if logs else None
        saver = Saver(ppo, folder, Interval.parse(options.checkpoint_every), logs.files if logs else {}, incidents)

        def after_update(ppo: PPO, metrics: Metrics) -> None:
            if logs:
                logs.log(metrics, *recent_means(ppo))
            if evaluation:
                evaluation.after_update(ppo, tensorboard, screen)
            saver.after_update()

        if not ppo.update or overrides:
            saver.save()  # so that the run can be resumed from here, with these settings
        if ppo.update and evaluation:
            evaluation.after_update(ppo, tensorboard, screen)  # a signal may have interrupted it
        completed = False
        try:
            ppo.learn(after_update)
            completed = True
        except (DivergedError, EnvironmentFault) as error:
            if isinstance(error.crash, Crash) and folder.is_dir():
                with incidents.of(folder / CRASH):
                    write_crash(folder / CRASH, error.crash)
                    error.add_note(f"See where it comes from: python -m ppo_np.replay {folder / CRASH}")
            raise
        finally:
            if ppo.resumable and (completed or ppo.ranks.size == 1):  # several ranks can only save together
                saver.save()
