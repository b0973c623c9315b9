"""Output of a run: its ranks and its network at the beginning, its results at the end."""

import os
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numba.core.event import Event, Listener
from rich.table import Table

from kernels._jit import CACHE_DIR
from ppo_np.distributed.ranks import Ranks
from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import BEST, CHECKPOINT, CONFIG, EVALUATIONS, METRICS, VIDEOS
from ppo_np.network.model import LOG_STD, ActorCritic
from ppo_np.running.options import PROGRAM, TrainOptions
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


def recent_means(ppo: PPO) -> tuple[float, float, float]:
    """Mean return and mean length of the last 100 training episodes, NaN if none has ended; mean reward of a step.

    The reward is that of the last rollout; NaN if there was none.
    """
    if not ppo.recent_episodes:
        return float("nan"), float("nan"), ppo.reward_per_step
    mean_return, mean_length = np.mean(ppo.recent_episodes, axis=0)
    return float(mean_return), float(mean_length), ppo.reward_per_step


class CompilationNotice(Listener):
    """Tells once that kernels are being compiled, when Numba reports that the first one was not in the cache."""

    def __init__(self, tell: Callable[[str], object]):
        self._tell, self._told = tell, False

    def on_start(self, event: Event) -> None:
        """Called by Numba before it compiles a function, which may also belong to an environment."""
        ours = event.data["dispatcher"].py_func.__module__.startswith("kernels.")
        if ours and not self._told:
            self._told = True
            self._tell(f"Compiling the kernels, once, in about 20 seconds; they are kept in {CACHE_DIR}.")

    def on_end(self, event: Event) -> None:
        """Called by Numba; there is nothing to do."""


def start_line(ppo: PPO, saved: Checkpoint | None, folder: Path, total: int) -> str:
    """The run folder; and, if the run is resumed, the step at which it goes on."""
    if not saved:
        return f"run folder: {folder}"
    left = max(total - ppo.global_step, 0)
    return f"run folder: {folder}, resumed at step {ppo.global_step:,} of {total:,} ({left:,} to go)"


def summary(ppo: PPO, folder: Path, options: TrainOptions, interrupted: bool) -> str:
    """The results of a run, the paths of its files, and the commands that may come next: a row each.

    The rows are not broken, so that paths and commands can be copied from a narrow terminal.
    """
    mean_return, mean_length, reward = recent_means(ppo)
    wall_time, total = max(ppo.state.wall_time, 1e-9), options.config.total_timesteps
    rows: dict[str, str | Path] = {
        "steps done / requested": f"{ppo.global_step:,} / {total:,}",
        "wall time": f"{ppo.state.wall_time:.1f} s ({ppo.global_step / wall_time:,.0f} steps/s)",
    }
    if ppo.recent_episodes:
        name = f"last {len(ppo.recent_episodes)} episodes"
        rows[name] = f"mean return {mean_return:.1f}, mean length {mean_length:.1f}"
    elif ppo.update:
        rows["last rollout"] = f"mean reward {reward:.4g} a step; no episode has ended yet"
    rows |= {"checkpoint": folder / CHECKPOINT, "metrics": folder / METRICS, "settings": folder / CONFIG}
    best = (folder / BEST).exists()
    if best:
        rows |= {"best policy": folder / BEST, "evaluations": folder / EVALUATIONS}
    if options.capture_video:
        rows["videos"] = folder / VIDEOS
    name, finished = shlex.quote(str(folder)), ppo.global_step >= total
    policy = shlex.quote(str(folder / BEST)) if best else name
    more = f" --total-timesteps {total}" if finished else ""
    rows |= {
        "to watch": f"tensorboard --logdir {name}",
        "to evaluate": f"python -m ppo_np.evaluate {policy}",
        "to plot": f"python -m ppo_np.plot {name}",
        "to train on": f"{PROGRAM} --resume {name}{more}",
    }
    title = "Training interrupted" if interrupted else "Training finished"
    return "\n".join([title, *(f"{name:<24}{value}" for name, value in rows.items())])
