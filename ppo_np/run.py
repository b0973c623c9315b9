"""One training run from options to files: the run folder, its loggers, checkpoints, signals and the final summary."""

import json
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path

import gymnasium
import numpy as np
from rich.console import Console
from rich.table import Table

from ppo_np.checkpoint import library_versions
from ppo_np.config import PPOConfig
from ppo_np.envs import VideoOptions, make_env
from ppo_np.errors import UserError
from ppo_np.layout import BEST, CHECKPOINT, CONFIG, EVALUATIONS, METRICS, VIDEOS
from ppo_np.logger import ConsoleLogger, CSVLogger, Metrics, TensorBoardLogger
from ppo_np.model import LOG_STD, ActorCritic
from ppo_np.periodic import PeriodicEvaluation
from ppo_np.ppo import PPO
from ppo_np.signals import StopSignals
from ppo_np.threads import blas_threads
from ppo_np.train import TrainOptions


def train(options: TrainOptions, signals: StopSignals) -> int:
    """Do the run that the options describe.

    Args:
        options: of the command line.
        signals: active; a signal stops training after the current step.

    Returns:
        0 when all steps are done, 128 + the signal's number (130 for Ctrl-C) when a signal ended it; once training has
        begun, the checkpoint is written either way.

    Raises:
        UserError: The environment cannot be trained on, or memory is too small; no run folder is left then.
        DivergedError: A gradient was not finite.
        EnvironmentFault: An environment failed.
    """
    console = Console()
    folder = options.run_dir or _default_folder(options)
    video = VideoOptions(folder / VIDEOS, options.video_every) if options.capture_video else None
    try:
        ppo = PPO(options.config, video=video)
    except MemoryError as error:
        raise UserError("The network and the rollout do not fit into memory: choose smaller sizes.") from error
    with closing(ppo):
        signals.on_stop = ppo.stop
        if signals.number:
            return signals.exit_code
        # Made before there is a folder: EnvPool has ids that Gymnasium has not.
        eval_env = make_env(options.config.env_id) if options.eval_every else None
        _make_folder(folder)
        _write_config(folder / CONFIG, options, ppo)
        console.print(model_table(ppo.model))
        _learn(ppo, eval_env, folder, options, console)
    console.print(_summary(ppo, folder, options, interrupted=bool(signals.number)), highlight=False)
    return signals.exit_code


def _learn(ppo: PPO, eval_env: gymnasium.Env | None, folder: Path, options: TrainOptions, console: Console) -> None:
    """Train with loggers and checkpoints; however training ends, the last checkpoint is written and logs are closed."""
    with ExitStack() as at_end:
        at_end.callback(ppo.save, folder / CHECKPOINT)
        csv_log = at_end.enter_context(closing(CSVLogger(folder / METRICS)))
        tensorboard = at_end.enter_context(closing(TensorBoardLogger(folder)))
        screen = ConsoleLogger(console, options.config.total_timesteps, options.log_every)
        at_end.enter_context(closing(screen))
        evaluation = None
        if eval_env:
            evaluation = PeriodicEvaluation(ppo, eval_env, folder, options.eval_every, options.eval_episodes)
            at_end.enter_context(closing(evaluation))

        def after_update(ppo: PPO, metrics: Metrics) -> None:
            csv_log.log(metrics)
            tensorboard.log(metrics)
            screen.log(metrics, *recent_means(ppo))
            if metrics.update % options.checkpoint_every == 0:
                ppo.save(folder / CHECKPOINT)
            if evaluation:
                evaluation.after_update(ppo, metrics, tensorboard)

        ppo.learn(after_update)


def _default_folder(options: TrainOptions) -> Path:
    """runs/<env>__<preset>__<seed>__<time>, with a counter if two runs start in the same second."""
    env = options.config.env_id.replace("/", "_").replace(":", "_")
    base = Path("runs") / f"{env}__{options.preset}__{options.config.seed}__{datetime.now():%Y%m%d-%H%M%S}"
    folder, count = base, 1
    while folder.exists():
        count += 1
        folder = base.with_name(f"{base.name}-{count}")
    return folder


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"run_dir is {str(folder)!r}, but that folder cannot be made: {error.strerror}.") from error


def _write_config(path: Path, options: TrainOptions, ppo: PPO) -> None:
    """Settings, preset, threads in use and library versions as JSON."""
    used = blas_threads(options.config, ppo.policy.observations.size)
    document = {
        "preset": options.preset,
        "config": options.config.to_dict(),
        "blas_threads": used,
        "versions": library_versions(),
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def model_table(model: ActorCritic) -> Table:
    """The network as a table: layer, output shape, parameters, and the total."""
    table = Table(title="Actor-critic network", show_footer=True)
    tensors = model.named(model.params)
    table.add_column("layer", footer="total")
    table.add_column("output shape", footer="")
    table.add_column("parameters", footer=f"{model.params.size:,}", justify="right")
    table.add_row("observation", f"(B, {model.obs_size})", "0")
    for name in tensors:
        if name.endswith("/weight"):
            layer = name.removesuffix("/weight")
            weight, bias = tensors[name], tensors[f"{layer}/bias"]
            table.add_row(layer, f"(B, {bias.size})", f"{weight.size + bias.size:,}")
        elif name == LOG_STD:
            table.add_row(name, f"({tensors[name].size},)", f"{tensors[name].size:,}")
    return table


def recent_means(ppo: PPO) -> tuple[float, float]:
    """Mean return and mean length of the last 100 training episodes; NaN before the first one has ended."""
    if not ppo.recent_episodes:
        return float("nan"), float("nan")
    mean_return, mean_length = np.mean(ppo.recent_episodes, axis=0)
    return float(mean_return), float(mean_length)


def _summary(ppo: PPO, folder: Path, options: TrainOptions, interrupted: bool) -> Table:
    """What was done, and where everything lies."""
    config: PPOConfig = options.config
    mean_return, mean_length = recent_means(ppo)
    table = Table(title="Training interrupted" if interrupted else "Training finished")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    rows = {
        "steps done / asked for": f"{ppo.global_step:,} / {config.total_timesteps:,}",
        "wall time": f"{ppo.wall_time:.1f} s ({ppo.global_step / max(ppo.wall_time, 1e-9):,.0f} steps/s)",
        f"last {len(ppo.recent_episodes)} episodes": f"mean return {mean_return:.1f}, mean length {mean_length:.1f}",
        "checkpoint": folder / CHECKPOINT,
        "metrics": folder / METRICS,
        "settings": folder / CONFIG,
        "TensorBoard": f"tensorboard --logdir {folder}",
    }
    if (folder / BEST).exists():
        rows["best policy / evaluations"] = f"{folder / BEST} / {folder / EVALUATIONS}"
    if options.capture_video:
        rows["videos"] = folder / VIDEOS
    for what, value in rows.items():
        table.add_row(what, str(value))
    return table
