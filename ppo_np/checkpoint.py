"""Checkpoints: HDF5 files that h5py or h5ls alone can read. Nothing in them is ever executed.

What stands where:
    /                 attributes: format, format_version, complete, and as JSON: versions, config, rng
    /counters         attributes: update, global_step, adam_step
    /parameters/...   one dataset a tensor, named tower/layer/weight or tower/layer/bias
    /adam/m/...       the same tensors of Adam's first moment; /adam/v/... of the second
    /normalizer/...   obs/count, obs/mean, obs/variance, and the same of reward; empty if not normalised
"""

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numba
import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError

FORMAT = "ppo_np checkpoint"
FORMAT_VERSION, READABLE = 2, (1, 2)
GROUPS = ("parameters", "adam/m", "adam/v", "normalizer")
COUNTERS = ("update", "global_step", "adam_step")
RNGS = ("action_rng", "minibatch_rng")


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds. The tensors are named as `ActorCritic.named` names them."""

    config: PPOConfig
    parameters: Mapping[str, np.ndarray]
    adam_m: Mapping[str, np.ndarray]
    adam_v: Mapping[str, np.ndarray]
    counters: Mapping[str, int]
    rng: Mapping[str, Any]
    normalizer: Mapping[str, np.ndarray]


def library_versions() -> dict[str, str]:
    """Versions of everything that shapes a run's numbers."""
    modules = {"numpy": np, "numba": numba, "gymnasium": gymnasium, "h5py": h5py}
    return {"python": platform.python_version()} | {name: module.__version__ for name, module in modules.items()}


def write_checkpoint(path: str | PathLike, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that `path` always holds a whole one: the old one, or the new one.

    The data goes to a temporary file in the same folder, is forced to disk, and takes the name in one step.

    Raises:
        OSError: The folder is missing, full or read-only; the old file is untouched.
    """
    path = Path(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            with h5py.File(stream, "w") as file:
                _fill(file, checkpoint)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _fill(file: h5py.File, checkpoint: Checkpoint) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["versions"] = json.dumps(library_versions())
    file.attrs["config"] = json.dumps(checkpoint.config.to_dict())
    file.attrs["rng"] = json.dumps(checkpoint.rng)
    file.create_group("counters").attrs.update(checkpoint.counters)
    parts = (checkpoint.parameters, checkpoint.adam_m, checkpoint.adam_v, checkpoint.normalizer)
    for group, tensors in zip(GROUPS, parts, strict=True):
        file.create_group(group)
        for name, tensor in tensors.items():
            file[f"{group}/{name}"] = tensor
    file.attrs["complete"] = True


def read_checkpoint(path: str | PathLike) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises:
        UserError: There is no such file, or it is not a whole checkpoint of a known format.
    """
    if not Path(path).is_file():
        raise UserError(f"checkpoint is {str(path)!r}, but there is no such file.")
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT or not file.attrs.get("complete"):
                raise UserError(f"checkpoint is {str(path)!r}, but that is not a whole checkpoint of ppo_np.")
            if file.attrs["format_version"] not in READABLE:
                found, known = file.attrs["format_version"], " and ".join(map(str, READABLE))
                raise UserError(f"checkpoint {str(path)!r} has format {found}, but only {known} can be read.")
            parameters, adam_m, adam_v = (_tensors(file[group]) for group in GROUPS[:-1])
            # Format 1 is older than normalisation.
            normalizer = _tensors(file[GROUPS[-1]]) if file.attrs["format_version"] > 1 else {}
            return Checkpoint(
                config=PPOConfig.from_dict(json.loads(file.attrs["config"]), f"checkpoint {str(path)!r}"),
                parameters=parameters,
                adam_m=adam_m,
                adam_v=adam_v,
                counters={name: int(file["counters"].attrs[name]) for name in COUNTERS},
                rng={name: json.loads(file.attrs["rng"])[name] for name in RNGS},
                normalizer=normalizer,
            )
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"checkpoint is {str(path)!r}, but it cannot be read as a checkpoint: {reason}") from error


def _tensors(group: h5py.Group) -> dict[str, np.ndarray]:
    tensors = {}
    group.visititems(lambda name, item: tensors.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return tensors


def copy_tensors(source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], path: str | PathLike) -> None:
    """Copy saved tensors into a network's.

    Raises:
        UserError: A name, a shape or a dtype differs: the checkpoint belongs to another network or environment.
    """
    if set(source) != set(target):
        odd = sorted(set(source) ^ set(target))[0]
        raise UserError(f"checkpoint {str(path)!r} does not fit the network: only one of them has the tensor {odd}.")
    for name, tensor in target.items():
        if source[name].shape != tensor.shape or source[name].dtype != tensor.dtype:
            raise UserError(
                f"checkpoint {str(path)!r} does not fit the environment: {name} has shape {source[name].shape} "
                f"({source[name].dtype}), but it must be {tensor.shape} ({tensor.dtype})."
            )
    for name, tensor in target.items():
        tensor[:] = source[name]
