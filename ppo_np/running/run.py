"""One run of the train command: what it prints, its signals and its exit code."""

from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
from numba.core.event import install_listener
from rich.console import Console

from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.film import VideoOptions
from ppo_np.errors import SavingError, UserError
from ppo_np.evaluation.episodes import evaluation_env, obstacle, step_limit
from ppo_np.learning.ppo import PPO
from ppo_np.learning.resume_point import changes_warning, lost_environments_warning
from ppo_np.logs.filenames import VIDEOS
from ppo_np.logs.incidents import Incidents
from ppo_np.running import cli, resume
from ppo_np.running.options import TrainOptions
from ppo_np.running.output import make_console
from ppo_np.running.recording import open_run, recording
from ppo_np.running.signals import StopSignals
from ppo_np.running.summary import (
    CompilationNotice,
    differences,
    model_table,
    ranks_line,
    start_line,
    summary,
)
from ppo_np.saving.checkpoint import Checkpoint
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
        folder, saved, doubts = ranks.broadcast(lambda: open_run(options, at_end))
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
        changes = changes_warning(saved) if saved else ""
        for warning in filter(None, [*doubts, *differences(saved, ranks), lost, changes, no_evaluation]):
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
        with recording(ppo, folder, options, console, incidents, saved, eval_env, overrides) as run:
            run.learn()
    exit_code = _exit_code(signals, ranks, errors)
    tell(summary(ppo, folder, options, interrupted=exit_code > 0))
    if incidents.lasting:
        raise SavingError(incidents.summary())
    return exit_code


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
