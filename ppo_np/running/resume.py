"""Going on with a run: which checkpoint, which folder, which settings may change."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check
from ppo_np.logs.filenames import CHECKPOINT, CONFIG
from ppo_np.saving.checkpoint import Checkpoint, previous_of, read_checkpoint

# What config.json keeps beside the settings, and of which type.
OPTIONS = {
    "preset": str, "capture_video": bool, "video_every": int, "checkpoint_every": str, "eval_every": int,
    "eval_episodes": int, "log_every": int, "ranks": int,
}  # fmt: skip
# What may be said anew. Everything else decides what is learnt.
CHANGEABLE = ("total_timesteps", "threads", "num_env_threads", "env_timeout")


def read_run(path: Path) -> tuple[Checkpoint, str | None]:
    """The checkpoint of a run folder or of a file; in a folder, the one before it if that is damaged.

    Returns:
        The checkpoint, and a sentence on why it is not the latest one, if so.

    Raises:
        UserError: There is none that is whole.
    """
    if not path.is_dir():
        return read_checkpoint(path), None
    latest = path / CHECKPOINT
    try:
        return read_checkpoint(latest), None
    except UserError as error:
        try:
            return read_checkpoint(previous_of(latest)), f"{str(error).rstrip('.')}; going on from the one before it."
        except UserError:
            raise error from None


def folder_of(path: Path) -> Path | None:
    """The run folder that goes on: `path`, or where that file lies if it is a run folder's checkpoint."""
    if path.is_dir():
        return path
    ours = path.name in (CHECKPOINT, previous_of(CHECKPOINT).name)
    return path.parent if ours and (path.parent / CONFIG).is_file() else None


def options_of(folder: Path | None) -> dict[str, Any]:
    """The options, beside the settings, that a run was started with, as far as its config.json tells them."""
    try:
        document = json.loads((folder / CONFIG).read_text()) if folder else {}
        told = {"preset": document.get("preset"), **document.get("options", {})}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: value for name, value in told.items() if type(value) is OPTIONS.get(name)}


def extended(asked: PPOConfig, saved: Checkpoint, more: bool) -> PPOConfig:
    """The settings with which a run goes on.

    Args:
        asked: the saved settings, changed by the flags.
        saved: the checkpoint.
        more: whether --total-timesteps was given: so many more steps, from where the checkpoint stands.

    Raises:
        UserError: A flag changes what must not change.
    """
    for field in dataclasses.fields(PPOConfig):
        name, given, kept = field.name, getattr(asked, field.name), getattr(saved.config, field.name)
        check(name in CHANGEABLE or given == kept, name, given, f"{kept!r} as in the run that --resume goes on with")
    total = saved.counters["global_step"] + asked.total_timesteps if more else saved.config.total_timesteps
    return dataclasses.replace(asked, total_timesteps=total)
