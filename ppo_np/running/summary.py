"""Output of a run: its ranks and its network at the beginning, its results at the end."""

import os
import socket
from pathlib import Path

import numpy as np
from rich.table import Table

from ppo_np.distributed.ranks import Ranks
from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import BEST, CHECKPOINT, CONFIG, EVALUATIONS, METRICS, VIDEOS
from ppo_np.network.model import LOG_STD, ActorCritic
from ppo_np.running.options import TrainOptions
from ppo_np.saving.checkpoint import Checkpoint, library_versions


def ranks_line(ranks: Ranks) -> str:
    """The process of each rank: a launcher that reports the end of a process names only its number."""
    hosts: dict[str, list[str]] = {}
    for rank, (host, pid) in enumerate(ranks.allgather((socket.gethostname(), os.getpid()))):
        hosts.setdefault(host, []).append(f"{rank} = {pid}")
    return f"{ranks.size} ranks = processes: " + "; ".join(f"{', '.join(who)} on {host}" for host, who in hosts.items())


def differences(saved: Checkpoint | None, ranks: Ranks) -> list[str]:
    """Warnings: what has changed since the checkpoint was written and can change the last bits of results."""
    if not saved:
        return []
    now = library_versions() | {"the number of ranks": str(ranks.size)}
    then = {**saved.versions, "the number of ranks": str(saved.ranks)}
    return [
        f"{name} was {then.get(name)} and is {version}: results can differ in the last bits."
        for name, version in now.items()
        if then.get(name) != version
    ]


def model_table(model: ActorCritic) -> Table:
    """The network as a table: the output shape and the number of parameters of each layer."""
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
    """Mean return and mean length of the last 100 training episodes; NaN if none has ended."""
    if not ppo.recent_episodes:
        return float("nan"), float("nan")
    mean_return, mean_length = np.mean(ppo.recent_episodes, axis=0)
    return float(mean_return), float(mean_length)


def summary(ppo: PPO, folder: Path, options: TrainOptions, interrupted: bool) -> Table:
    """The results of a run as a table, and the paths of its files."""
    mean_return, mean_length = recent_means(ppo)
    table = Table(title="Training interrupted" if interrupted else "Training finished")
    table.add_column("what")
    table.add_column("value", overflow="fold")
    rows = {
        "steps done / requested": f"{ppo.global_step:,} / {options.config.total_timesteps:,}",
        "wall time": f"{ppo.state.wall_time:.1f} s ({ppo.global_step / max(ppo.state.wall_time, 1e-9):,.0f} steps/s)",
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
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table
