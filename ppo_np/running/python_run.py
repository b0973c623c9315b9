"""A run that is started from Python: `PPO.learn` with a run folder, or with a progress bar alone."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from ppo_np.errors import SavingError, UserError
from ppo_np.evaluation.episodes import evaluation_env
from ppo_np.learning.callbacks import Callback, run_callbacks
from ppo_np.learning.metrics import Metrics
from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import CHECKPOINT
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.logger import ConsoleLogger
from ppo_np.running import resume
from ppo_np.running.options import TrainOptions
from ppo_np.running.output import make_console, shows_bar
from ppo_np.running.recording import open_run, recording
from ppo_np.running.summary import recent_means
from ppo_np.saving.checkpoint import Checkpoint, previous_of


def learn_with_progress(ppo: PPO, callbacks: Sequence[Callback], options: Mapping[str, Any]) -> None:
    """Train, and show the progress on rank 0; `options` are fields of `TrainOptions`."""
    asked = TrainOptions(config=ppo.config, **options)
    console = make_console(quiet=ppo.ranks.rank > 0)
    with closing(ConsoleLogger(console, ppo.config.total_timesteps, asked.log_every, shows_bar(console))) as screen:

        def after_update(ppo: PPO, metrics: Metrics) -> bool:
            go_on = run_callbacks(callbacks, ppo, metrics)
            screen.log(metrics, *recent_means(ppo))
            return go_on

        PPO.learn(ppo, after_update)


def learn_in_folder(
    ppo: PPO, folder: Path, began: Mapping[str, Any], callbacks: Sequence[Callback], progress: bool,
    options: Mapping[str, Any],
) -> None:  # fmt: skip
    """Train with the files of a run in `folder`.

    Args:
        ppo: what is trained. folder: new, empty, or that of the run which `ppo` goes on with.
        began: the options with which a new run begins: preset, init_from. A run that goes on keeps its own.
        callbacks: called after each update. progress: whether to show it.
        options: fields of `TrainOptions`; for others, a run that goes on keeps its own.

    Raises:
        UserError: The folder holds something else, is in use, or cannot be written.
        SavingError: Training ended normally, but its last state is not on disk.
    """
    incidents = Incidents(lambda sentence: warnings.warn(sentence, RuntimeWarning, 2))
    with ExitStack() as at_end:
        kept = ppo.ranks.broadcast(lambda: _kept_options(folder))
        given = {**began, **kept, **options, "run_dir": folder, "ranks": ppo.ranks.size}
        asked = TrainOptions(config=ppo.config, **given)
        folder, saved, doubts = ppo.ranks.broadcast(lambda: open_run(asked, at_end))
        ppo.ranks.broadcast(lambda: _check_same(ppo, saved, folder))
        for doubt in doubts if ppo.ranks.rank == 0 else ():
            warnings.warn(doubt, RuntimeWarning, 3)
        eval_env = evaluation_env(ppo.config, asked.eval_max_episode_steps) if asked.eval_every else None
        console = make_console(quiet=not progress or ppo.ranks.rank > 0)
        with recording(ppo, folder, asked, console, incidents, saved, eval_env) as run:
            run.learn(callbacks)
    if incidents.lasting:
        raise SavingError(incidents.summary())


def _kept_options(folder: Path) -> dict[str, Any]:
    """The options of the run that is in the folder, which goes on; empty if there is none."""
    checkpoint = folder / CHECKPOINT
    there = checkpoint.is_file() or previous_of(checkpoint).is_file()
    return {**resume.options_of(folder), "resume": folder} if there else {}


def _check_same(ppo: PPO, saved: Checkpoint | None, folder: Path) -> None:
    """Raise UserError unless the checkpoint of the folder, if there is one, is the present state."""
    if saved is None:
        return
    tensors = ppo.state.tensors()
    same = all(saved.counters[name] == getattr(ppo.state, name) for name in ("update", "global_step", "adam_step"))
    same = same and saved.tensors.keys() == tensors.keys()
    if not same or not all(np.array_equal(saved.tensors[name], tensor) for name, tensor in tensors.items()):
        how = f"or go on with that run: PPO.load({str(folder)!r}).learn(run_dir={str(folder)!r})"
        raise UserError(f"run_dir is {str(folder)!r}, but another run has used this folder: take a new one, {how}.")
