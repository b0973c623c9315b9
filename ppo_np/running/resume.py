"""Resuming a run: its checkpoint, its folder, and the settings that may change."""

import dataclasses
import json
import os
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check
from ppo_np.logs.csv_file import read_rows
from ppo_np.logs.filenames import CHECKPOINT, CONFIG, EVALUATIONS, EVENTS_PREFIX, LOCK, METRICS, VIDEOS
from ppo_np.saving.checkpoint import Checkpoint, DamagedFileError, previous_of, read_checkpoint
from ppo_np.saving.files import TEMPORARY
from ppo_np.saving.hdf5 import MALFORMED, with_escapes
from ppo_np.schedules import Schedule, is_file, is_function

# The options that config.json keeps beside the settings, with their types.
OPTIONS = {
    "preset": str, "capture_video": bool, "video_every": int, "checkpoint_every": str, "eval_every": int,
    "eval_episodes": int, "eval_max_episode_steps": int, "log_every": int, "ranks": int,
    "track": str,
}  # fmt: skip
# Settings that may change. All others influence what is learnt.
CHANGEABLE = ("total_timesteps", "threads", "num_env_threads", "env_timeout")
# What a run writes before its first checkpoint, beside event files.
AT_THE_BEGINNING = (LOCK, CONFIG, METRICS, EVALUATIONS, VIDEOS)
AS_BEFORE = "as in the run that --resume continues"


def read_run(path: Path) -> tuple[Checkpoint | None, str | None]:
    """Read the checkpoint of a run folder, or a checkpoint file.

    If that of a folder is missing or damaged, read the previous one, but not if it only cannot be read at present.

    Returns the checkpoint, and a warning if it is not the latest one. The checkpoint is None if the run ended before it
    wrote one; then `config_of` gives its settings. Raises UserError if no checkpoint is complete.
    """
    if not os.path.isdir(path):
        return read_checkpoint(path), None
    with suppress(OSError):  # reading the checkpoint says why
        if is_unused(path) and (path / LOCK).exists():
            return None, None
    latest = path / CHECKPOINT
    try:
        return read_checkpoint(latest), None
    except DamagedFileError as error:
        try:
            return read_checkpoint(previous_of(latest)), f"{str(error).rstrip('.')}; resuming from the one before it."
        except UserError:
            raise error from None


def is_unused(folder: Path) -> bool:
    """Whether a folder is empty or holds only what a run leaves that is killed before its first checkpoint.

    Raises OSError if it cannot be read.
    """
    names = {path.name for path in folder.iterdir()}
    if not names:
        return True
    ours = all(name in AT_THE_BEGINNING or fnmatch(name, TEMPORARY) or name.startswith(EVENTS_PREFIX) for name in names)
    return LOCK in names and ours and not read_rows(folder / METRICS)


def folder_of(path: Path) -> Path | None:
    """The run folder to continue in: `path`, or its parent if it is the checkpoint of a run folder; else None."""
    if os.path.isdir(path):
        return path
    ours = path.name in (CHECKPOINT, previous_of(CHECKPOINT).name)
    return path.parent if ours and os.path.isfile(path.parent / CONFIG) else None


def read_config(folder: Path | None) -> dict[str, Any]:
    """The document in config.json; empty if there is none or if it is damaged.

    Raises UserError if it cannot be read at present.
    """
    try:
        document = with_escapes(json.loads((folder / CONFIG).read_bytes())) if folder else {}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"resume is {str(folder)!r}, but its {CONFIG} cannot be read: {error.strerror}.") from error
    except MALFORMED:
        return {}
    return document if isinstance(document, dict) else {}


def config_of(folder: Path) -> PPOConfig:
    """The settings of a run that ended before its first checkpoint; raises UserError if its config.json has none."""
    settings = read_config(folder).get("config")
    if not isinstance(settings, dict):
        how = f"start it again by its first command, with --run-dir {folder}"
        raise UserError(f"resume is {str(folder)!r}, but that run ended before it had saved anything: {how}.")
    return PPOConfig.from_dict(settings, str(folder / CONFIG))


def options_of(folder: Path | None) -> dict[str, Any]:
    """The options (beside the settings) of an earlier run, as far as its config.json has them."""
    document = read_config(folder)
    options = document.get("options")
    known = {"preset": document.get("preset")} | (options if isinstance(options, dict) else {})
    return {name: value for name, value in known.items() if type(value) is OPTIONS.get(name)}


def extended(asked: PPOConfig, kept: PPOConfig, done: int | None) -> PPOConfig:
    """The settings of a resumed run, from the settings `asked`: those that were `kept`, changed by the flags.

    If `done`, the number of steps that are done, is given, their total_timesteps is the number of steps to add. Raises
    UserError if any other setting than the `CHANGEABLE` ones has changed.
    """
    for field in dataclasses.fields(PPOConfig):
        name, given, before = field.name, getattr(asked, field.name), getattr(kept, field.name)
        same = given == before or (field.type == Schedule and is_function(before) and is_file(given))
        check(name in CHANGEABLE or same, name, given, f"{before!r} {AS_BEFORE}")
    total = kept.total_timesteps if done is None else done + asked.total_timesteps
    return dataclasses.replace(asked, total_timesteps=total)
