"""Resuming a run: its checkpoint, its folder, and the settings that may change."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check
from ppo_np.logs.filenames import CHECKPOINT, CONFIG
from ppo_np.saving.checkpoint import Checkpoint, previous_of, read_checkpoint

# The options that config.json keeps beside the settings, with their types.
OPTIONS = {
    "preset": str, "capture_video": bool, "video_every": int, "checkpoint_every": str, "eval_every": int,
    "eval_episodes": int, "eval_max_episode_steps": int, "log_every": int, "ranks": int,
}  # fmt: skip
# Settings that may change. All others influence what is learnt.
CHANGEABLE = ("total_timesteps", "threads", "num_env_threads", "env_timeout")
AS_BEFORE = "as in the run that --resume continues"


def read_run(path: Path) -> tuple[Checkpoint, str | None]:
    """Read the checkpoint of a run folder, or a checkpoint file. If that of a folder is damaged, read the previous one.

    Returns the checkpoint, and a warning if it is not the latest one. Raises UserError if none is complete.
    """
    if not path.is_dir():
        return read_checkpoint(path), None
    latest = path / CHECKPOINT
    try:
        return read_checkpoint(latest), None
    except UserError as error:
        try:
            return read_checkpoint(previous_of(latest)), f"{str(error).rstrip('.')}; resuming from the one before it."
        except UserError:
            raise error from None


def folder_of(path: Path) -> Path | None:
    """The run folder to continue in: `path`, or its parent if it is the checkpoint of a run folder; else None."""
    if path.is_dir():
        return path
    ours = path.name in (CHECKPOINT, previous_of(CHECKPOINT).name)
    return path.parent if ours and (path.parent / CONFIG).is_file() else None


def options_of(folder: Path | None) -> dict[str, Any]:
    """The options (beside the settings) of an earlier run, as far as its config.json is readable."""
    try:
        document = json.loads((folder / CONFIG).read_text()) if folder else {}
        options = {"preset": document.get("preset"), **document.get("options", {})}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: value for name, value in options.items() if type(value) is OPTIONS.get(name)}


def extended(asked: PPOConfig, saved: Checkpoint, more: bool) -> PPOConfig:
    """The settings of a resumed run, from the settings `asked`: the saved ones, changed by the flags.

    With `more`, their total_timesteps is the number of steps to add. Raises UserError if any other setting than the
    `CHANGEABLE` ones has changed.
    """
    for field in dataclasses.fields(PPOConfig):
        name, given, kept = field.name, getattr(asked, field.name), getattr(saved.config, field.name)
        check(name in CHANGEABLE or given == kept, name, given, f"{kept!r} {AS_BEFORE}")
    total = saved.counters["global_step"] + asked.total_timesteps if more else saved.config.total_timesteps
    return dataclasses.replace(asked, total_timesteps=total)
