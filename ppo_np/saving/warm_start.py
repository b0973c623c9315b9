"""Warm starts: a new run begins with the weights of an earlier one, and with its statistics of the observations.

Adam's moments, counters, random generators and the statistics of the rewards are those of a new run.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from os import PathLike

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.environments.space_json import of_json
from ppo_np.errors import UserError
from ppo_np.network.action_head import ActionHead, action_head
from ppo_np.saving.checkpoint import Checkpoint, below, read_checkpoint
from ppo_np.saving.files import CHECKPOINT
from ppo_np.saving.hdf5 import MALFORMED, printable
from ppo_np.saving.keras_file import read_keras_weights
from ppo_np.saving.training_state import TrainingState

OBS = "obs"  # name of the statistics of the observations
SIZES = ("shared_sizes", "policy_sizes", "value_sizes")
# Settings with which the same weights are another policy, although all shapes fit.
MEANING = ("activation", "action_distribution", "log_std")
# What reads a file that is no checkpoint, by the ending of its name: the arrays by the names of `ActorCritic.named`.
READERS: dict[str, Callable[[str], Mapping[str, np.ndarray]]] = {
    ".weights.h5": partial(read_keras_weights, what="init_from"),  # of Keras
}


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a new run begins with.

    Attributes:
        path: where it was read, for messages.
        parameters: the tensors of the network, named as `ActorCritic.named` names them.
        obs_statistics: count, mean and variance of the observations; empty if they were not normalised.
        config: the settings of the earlier run; None if the file does not know them.
        head: its distribution and the sizes of its actions; None if the file does not know them.
    """

    path: str
    parameters: Mapping[str, np.ndarray]
    obs_statistics: Mapping[str, np.ndarray] = field(default_factory=dict)
    config: PPOConfig | None = None
    head: ActionHead | None = None


def read_start(path: str | PathLike) -> Start:
    """Read the weights of a run folder (of its latest checkpoint), a checkpoint, or a file with one of `READERS`.

    Raises UserError if there is none, or if it cannot be read.
    """
    name = os.fspath(path)
    for ending, read in READERS.items():
        if name.endswith(ending):
            return Start(path=name, parameters=read(name))
    file = os.path.join(name, CHECKPOINT) if os.path.isdir(name) else name
    try:
        saved = read_checkpoint(file)
    except UserError as error:
        raise UserError(f"init_from cannot be used: {error}") from error
    statistics = below(saved.normalizer, OBS)
    return Start(
        path=name, parameters=saved.parameters, obs_statistics=statistics, config=saved.config, head=_head_of(saved)
    )


def _head_of(saved: Checkpoint) -> ActionHead | None:
    """The head for the action space in a checkpoint; None if it has none that can be read."""
    with suppress(*MALFORMED, UserError):
        if saved.spaces:
            numbers = sum(tensor.size for tensor in saved.parameters.values())
            return action_head(of_json(saved.spaces["action"], numbers), saved.config)
    return None


def copy_start(start: Start, state: TrainingState, config: PPOConfig) -> None:
    """Copy the weights and the statistics of the observations into the state of a new run.

    Args:
        start: what to copy. state: changed in place. config: the settings of the new run.

    Raises:
        UserError: A tensor has another shape or only one of the two has it; a setting of `MEANING` differs; the actions
            have other components; or only one of the two normalises observations. Nothing was copied.
    """
    tensors = state.model.named(state.model.params)
    _check_tensors(start, tensors, config)
    _check_settings(start, config, state.model.head)
    for name, tensor in tensors.items():
        tensor[:] = start.parameters[name]
    if start.obs_statistics:
        for name, array in state.normalizers[OBS].arrays().items():
            array[:] = start.obs_statistics[name]


def _check_tensors(start: Start, tensors: Mapping[str, np.ndarray], config: PPOConfig) -> None:
    """Raise UserError that names a tensor that does not fit, with its shapes."""
    given = start.parameters
    for name in [*(name for name in given if name not in tensors), *(name for name in tensors if name not in given)]:
        there = name in given
        only, other = ("init_from", "the new run") if there else ("the new run", "init_from")
        found = f"{printable(name)} of shape {(given if there else tensors)[name].shape} is only in {only}"
        layers = _layers(start, config)
        raise UserError(f"init_from is {start.path!r}, but {found}, and {other} has no such tensor{layers}.")
    for name, tensor in tensors.items():
        if given[name].shape != tensor.shape:
            found = f"{name} has the shape {given[name].shape} there and {tensor.shape} in the new run"
            raise UserError(f"init_from is {start.path!r}, but {found}{_layers(start, config)}.")


def _layers(start: Start, config: PPOConfig) -> str:
    """The flags that give the layers of the earlier run, if those of the new run are others."""
    if start.config is None or all(getattr(start.config, name) == getattr(config, name) for name in SIZES):
        return ""
    flags = (f"--{name.replace('_', '-')}" + "".join(f" {n}" for n in getattr(start.config, name)) for name in SIZES)
    return f": its layers are those of {' '.join(flags)}"


def _check_settings(start: Start, config: PPOConfig, head: ActionHead) -> None:
    """Raise UserError if the weights would be another policy with the settings or the actions of the new run."""
    for name in MEANING if start.config else ():
        there, here = getattr(start.config, name), getattr(config, name)
        if there != here:
            raise UserError(f"{name} is {here!r}, but it must be {there!r} as in init_from, {start.path!r}.")
    if start.head and (start.head.kind, start.head.sizes) != (head.kind, head.sizes):
        there, here = (f"{one.kind.__name__} with the sizes {one.sizes}" for one in (start.head, head))
        raise UserError(f"init_from is {start.path!r}, but its actions are {there}, and in the new run {here}.")
    if config.norm_obs and not start.obs_statistics:
        without = f"init_from is {start.path!r}, whose observations were not normalised"
        raise UserError(f"norm_obs is True, but {without}: it must be False (--no-norm-obs).")
    if start.obs_statistics and not config.norm_obs:
        normalised = f"init_from is {start.path!r}, whose observations were normalised"
        raise UserError(f"norm_obs is False, but {normalised}: it must be True (--norm-obs).")
