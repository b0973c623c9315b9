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
from ppo_np.logs.filenames import CHECKPOINT, CONFIG, EVALUATIONS, EVENTS_PREFIX, LOCK, METRICS, OVERRIDES, VIDEOS
from ppo_np.saving.checkpoint import Checkpoint, DamagedFileError, previous_of, read_checkpoint
from ppo_np.saving.files import TEMPORARY
from ppo_np.saving.hdf5 import MALFORMED, with_escapes
from ppo_np.schedules import Schedule, is_file, is_function

# The options that config.json keeps beside the settings, with their types.
OPTIONS = {
    "preset": str, "capture_video": bool, "video_every": int, "checkpoint_every": str, "eval_every": int,
    "eval_episodes": int, "eval_max_episode_steps": int, "log_every": int, "ranks": int, "track": str, "init_from": str,
}  # fmt: skip
# Settings that may change. All others influence what is learnt.
CHANGEABLE = ("total_timesteps", "threads", "num_env_threads", "env_timeout", "info_keys")
# Settings that --override may change as well: how the run learns, but not what it learns or in which environments.
OVERRIDABLE = (
    "learning_rate", "anneal_lr", "learning_rate_schedule", "value_learning_rate", "kl_adaptive_lr",
    "kl_adaptive_threshold", "kl_adaptive_factor", "kl_adaptive_min_lr", "kl_adaptive_max_lr", "clip_coef",
    "anneal_clip_coef", "clip_coef_schedule", "clip_vloss", "value_clip_coef", "ent_coef", "anneal_ent_coef",
    "ent_coef_schedule", "vf_coef", "num_minibatches", "update_epochs", "target_kl", "norm_adv", "gamma", "gae_lambda",
    "max_grad_norm", "max_grad_norm_value", "adam_eps", "adam_beta1", "adam_beta2", "bc_coef", "bc_dataset",
)  # fmt: skip
# What a run writes before its first checkpoint, beside event files.
AT_THE_BEGINNING = (LOCK, CONFIG, METRICS, EVALUATIONS, OVERRIDES, VIDEOS)
OVERRIDE_COLUMNS = ("step", "setting", "from", "to")
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


def extended(asked: PPOConfig, kept: PPOConfig, done: int | None, override: bool = False) -> PPOConfig:
    """The settings of a resumed run, from the settings `asked`: those that were `kept`, changed by the flags.

    If `done`, the number of steps that are done, is given, their total_timesteps is the number of steps to add. Raises
    UserError if any other setting than the `CHANGEABLE` ones has changed, or with `override` the `OVERRIDABLE` ones.
    """
    for name, (before, given) in changes(kept, asked).items():
        if name in OVERRIDABLE:
            allowed = f"{before!r} {AS_BEFORE}, or be changed with --override"
        else:
            able = f"; --override can change {', '.join(OVERRIDABLE)}" if override else ""
            allowed = f"{before!r} {AS_BEFORE}{able}"
        check(name in CHANGEABLE or (override and name in OVERRIDABLE), name, given, allowed)
    total = kept.total_timesteps if done is None else done + asked.total_timesteps
    return dataclasses.replace(asked, total_timesteps=total)


def changes(kept: PPOConfig, asked: PPOConfig) -> dict[str, tuple[Any, Any]]:
    """The settings that differ, by name: (kept, asked). A schedule's file may replace a function with the same name."""
    found: dict[str, tuple[Any, Any]] = {}
    for field in dataclasses.fields(PPOConfig):
        before, given = getattr(kept, field.name), getattr(asked, field.name)
        same = given == before or (field.type == Schedule and is_function(before) and is_file(given))
        if not same:
            found[field.name] = before, given
    return found


def overridden(saved: Checkpoint, config: PPOConfig) -> tuple[Checkpoint, list[dict[str, Any]]]:
    """What --override changes: the checkpoint to go on from, and a record {step, setting, from, to} for each setting.

    With kl_adaptive_lr, a new learning rate replaces the adapted one, which must lie between its limits.
    """
    step, before, after = saved.counters["global_step"], saved.config.to_dict(), config.to_dict()
    names = [name for name in changes(saved.config, config) if name not in CHANGEABLE]
    records = [dict(zip(OVERRIDE_COLUMNS, (step, name, before[name], after[name]), strict=True)) for name in names]
    adaptive_lr = saved.adaptive_lr
    if adaptive_lr is not None and records:
        anew = "learning_rate" in names
        kept = min(max(adaptive_lr, config.kl_adaptive_min_lr), config.kl_adaptive_max_lr)
        saved = dataclasses.replace(saved, adaptive_lr=config.learning_rate if anew else kept)
    return saved, records


def override_line(records: list[dict[str, Any]]) -> str:
    """A line that says from which step on which settings are others."""
    changed = ", ".join(f"{one['setting']} {one['to']} (was {one['from']})" for one in records)
    return f"from step {records[0]['step']:,} on: {changed}"


def all_overrides(folder: Path, saved: Checkpoint, new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of config.json up to the checkpoint, and those of now.

    A record of the checkpoint's own step counts if the checkpoint has the setting: a kill may have come before it.
    """
    step, settings, kept = saved.counters["global_step"], saved.config.to_dict(), read_config(folder).get("overrides")
    with suppress(*MALFORMED):
        old = [one for one in kept or [] if one["step"] < step or one["to"] == settings[one["setting"]]]
        return [*(one for one in old if one["step"] <= step), *new]
    return new
