"""Cloning a dataset: the epochs, the run folder, and what is printed."""

import math
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ppo_np.environments.make import spaces_of_training
from ppo_np.errors import DivergedError
from ppo_np.learning.cloning import Student, agreement_name, score
from ppo_np.learning.demonstrations import Demonstrations, read_demonstrations
from ppo_np.logs.filenames import CHECKPOINT, CLONING
from ppo_np.network.threads import blas_threads, limit_blas_threads
from ppo_np.running.options import CloneOptions, TrainOptions
from ppo_np.running.run_folder import as_user_error, open_run_folder, write_config
from ppo_np.running.signals import StopSignals
from ppo_np.saving.checkpoint import write_checkpoint
from ppo_np.saving.files import write_whole


class Epoch(NamedTuple):
    """A row of cloning.csv. The last two are those of the rows that are held out; None if there are none."""

    epoch: int
    seconds: float
    log_likelihood: float
    held_out_log_likelihood: float | None
    held_out_agreement: float | None  # as `Score.agreement`


def clone(options: CloneOptions, signals: StopSignals, tell: Callable[[str], object]) -> int:
    """Clone, write the run folder, and return the exit code: 0, or 128 + the number of the signal that stopped it.

    The parameters of the epoch with the best log-likelihood of the held-out rows are kept; of the last one without such
    rows. A signal ends cloning after the epoch.

    Raises:
        UserError: The environment cannot be made, or the dataset does not fit it; no run folder is left.
        DivergedError: The loss is not finite; no run folder is left.
    """
    config = options.config
    student = Student(*spaces_of_training(config), config)
    data = read_demonstrations(options.dataset, student.policy)
    learned, held_out = student.split(data, options.held_out)
    run_options = TrainOptions(preset=options.preset, config=config, run_dir=options.run_dir)
    threads = blas_threads(config, student.policy.observations.size)
    with open_run_folder(run_options) as folder:
        tell(f"run folder: {folder}")
        how = " (whole episodes)" if data.episodes is not None else " (single rows: the dataset has no episode_ends)"
        tell(f"{len(learned):,} rows to learn from, {len(held_out):,} held out{how if len(held_out) else ''}")
        with limit_blas_threads(threads):
            rows = _epochs(options, student, data, learned, held_out, signals, tell)
        kept = {name: getattr(options, name) for name in ("dataset", "epochs", "minibatch_size", "held_out")}
        with as_user_error(folder):
            write_config(folder, run_options, threads, 1, None, [], {"cloning": kept})
            write_checkpoint(folder / CHECKPOINT, student.checkpoint())
            lines = [Epoch._fields, *(["" if cell is None else cell for cell in row] for row in rows)]
            write_whole(folder / CLONING, "".join(",".join(map(str, line)) + "\n" for line in lines).encode())
    tell(_summary(folder, config.env_id, stopped=len(rows) < options.epochs))
    return signals.exit_code


def _epochs(
    options: CloneOptions, student: Student, data: Demonstrations, learned: np.ndarray, held_out: np.ndarray,
    signals: StopSignals, tell: Callable[[str], object],
) -> list[Epoch]:  # fmt: skip
    """Clone in epochs; returns their rows, and leaves the best parameters in the network."""
    params, best, best_params = student.policy.model.params, -math.inf, None
    name, begin = agreement_name(student.policy), time.perf_counter()
    rows: list[Epoch] = []
    for loss in student.epochs(data, learned, options.epochs, options.minibatch_size):
        found = score(student.policy, data, held_out) if len(held_out) else None
        if not math.isfinite(loss + (found.log_likelihood if found else 0)):
            where = f"In epoch {len(rows) + 1}, the loss is not finite"
            raise DivergedError(f"{where}; nothing was saved, and a lower --learning-rate may help.")
        rows.append(Epoch(len(rows) + 1, time.perf_counter() - begin, -loss, *(found or (None, None))))
        if found and found.log_likelihood > best:
            best, best_params = found.log_likelihood, params.copy()
        text = f" held_out_log_likelihood={found.log_likelihood:.4g} {name}={found.agreement:.4g}" if found else ""
        tell(f"epoch={len(rows)} log_likelihood={-loss:.4g}{text}")
        if signals.number:
            break
    if best_params is not None:
        params[:] = best_params
    return rows


def _summary(folder: Path, env_id: str, stopped: bool) -> str:
    """The paths of the files, and the commands that may come next: a row each."""
    name = shlex.quote(str(folder))
    rows = {
        "checkpoint": folder / CHECKPOINT,
        "epochs": folder / CLONING,
        "to evaluate": f"python -m ppo_np.evaluate {name}",
        "to train on": f"python -m ppo_np.train --env-id {shlex.quote(env_id)} --init-from {name}",
    }
    title = "Cloning interrupted" if stopped else "Cloning finished"
    return "\n".join([title, *(f"{what:<24}{value}" for what, value in rows.items())])
