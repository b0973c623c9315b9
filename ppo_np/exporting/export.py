"""Write a policy into a file of another format, and verify it before the file gets its name."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from ppo_np.environments.make import spaces_of, spaces_of_training
from ppo_np.errors import RunError, UserError, check, require_extra
from ppo_np.exporting import c_header, keras_weights, npz, onnx_file, python_file
from ppo_np.exporting.arrays import PolicyArrays, arrays_of
from ppo_np.exporting.observations import random_masks, random_observations, recorded_observations
from ppo_np.exporting.runner import Runner
from ppo_np.exporting.verify import LIMIT, Sample, differences, sample_of
from ppo_np.learning.policy import Policy
from ppo_np.learning.policy_file import load_policy
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.saving.files import write_whole
from ppo_np.saving.foreign import import_notice


class Format(NamedTuple):
    """How a file is written, run and called, by the functions of its module."""

    encode: Callable[[PolicyArrays, str], bytes]
    runner: Callable[[bytes, PolicyArrays], Runner]
    usage: Callable[[PolicyArrays, str], str]


FORMATS = {
    f".{ending}": Format(module.encode, module.runner, module.usage)
    for ending, module in (
        ("onnx", onnx_file), ("npz", npz), ("py", python_file), ("h", c_header), ("weights.h5", keras_weights)
    )
}  # fmt: skip

NUMBERS = 2**22  # of random observations, in memory


@dataclass(frozen=True)
class Source:
    """A policy and what is needed to export it.

    Attributes:
        policy: as it was trained.
        recorded: flat observations of the checkpoint's environments, (M, D).
        own_space: action space of the environment itself, if the policy acts in [-1, 1] (`rescale_actions`).
    """

    policy: Policy
    recorded: np.ndarray
    own_space: spaces.Box | None = None


@dataclass(frozen=True)
class Report:
    """What was written, and how it was verified.

    Attributes:
        arrays: the policy. size: bytes of the file. usage: how to call it.
        random, recorded: numbers of observations.
        differences: the largest ones, by output; see `verify.differences`.
    """

    arrays: PolicyArrays
    size: int
    usage: str
    random: int
    recorded: int
    differences: dict[str, float]


class NotEqualError(RunError):
    """An exported file does not compute what the policy computes; it is not left behind."""


def read_source(path: str | PathLike) -> Source:
    """Read the policy of a checkpoint file.

    The environment is made only if it must be asked for the bounds of its actions (`rescale_actions`), or if the file
    is from before spaces were saved.

    Raises:
        UserError: The file cannot be read, or the environment cannot be made.
    """
    saved = read_checkpoint(path)
    config, known = saved.config, None
    own_space: Any = None
    if config.rescale_actions or saved.spaces is None:
        check(bool(config.env_id), "RUN_OR_FILE", str(path), "of an environment with an id, which must be made for it")
        if notice := import_notice(path, config):
            warnings.warn(notice, RuntimeWarning, 2)
    if saved.spaces is None:
        known = spaces_of_training(config)
    if config.rescale_actions:
        own_space = spaces_of(replace(config, rescale_actions=False))[1]
    policy = load_policy(path, spaces=known)
    recorded = saved.environments.obs if saved.environments else np.zeros((0, policy.observations.size), np.float32)
    return Source(policy, recorded, own_space)


def format_of(out: Path) -> Format:
    """The format that a file's name asks for. Raises UserError if there is none, or if it needs what is missing."""
    found = [ending for ending in FORMATS if out.name.endswith(ending) and out.name != ending]
    check(bool(found), "OUT", str(out), f"a file that ends in {', '.join(FORMATS)}")
    check(out.parent.is_dir() and not out.is_dir(), "OUT", str(out), "a file in a folder that exists")
    if found == [".onnx"]:
        for module in ("onnx", "onnxruntime"):
            require_extra(module, "export", "OUT with .onnx")
    if found == [".h"]:
        c_header.compiler()
    return FORMATS[found[0]]


def export(source: Source, out: Path, observations: int = 1000, seed: int = 0) -> Report:
    """Write a policy into the file `out`, in the format of its ending, and verify what was written.

    Args:
        source: the policy.
        out: a file that is there already is replaced, if the new one is right.
        observations: random observations to compare with, >= 1, fewer if they have more than `NUMBERS` numbers in all;
            the recorded ones are added to them.
        seed: of the random observations and masks.

    Raises:
        UserError: The format is unknown or cannot hold the policy, or the file cannot be written.
        NotEqualError: What was written differs from the policy by more than `LIMIT`; there is no new file.
    """
    chosen, arrays = format_of(out), arrays_of(source.policy, source.own_space)
    count = min(observations, max(1, NUMBERS // arrays.obs_size))
    samples = _samples(source, arrays, count, np.random.default_rng(seed))
    largest: dict[str, float] = {}

    def verify(data: bytes) -> None:
        run = chosen.runner(data, arrays)
        for sample in samples:
            for name, difference in differences(run, sample, arrays).items():
                largest[name] = max(largest.get(name, 0), difference)
        name = max(largest, key=lambda name: largest[name])
        if not largest[name] <= LIMIT:
            what = f"its outputs ({name}) differ from the policy's by {largest[name]:.2g}, more than {LIMIT:g}"
            raise NotEqualError(f"{out.name} was not written, because {what}.")

    data = chosen.encode(arrays, out.name)
    try:
        write_whole(out, data, verify)
    except OSError as error:
        raise UserError(f"OUT is {str(out)!r}, but it cannot be written: {error.strerror or error}.") from error
    recorded = sum(len(sample.flat_obs) for sample in samples[1:])
    return Report(arrays, len(data), chosen.usage(arrays, out.name), count, recorded, largest)


def _samples(source: Source, arrays: PolicyArrays, count: int, rng: np.random.Generator) -> list[Sample]:
    """Random observations, and the recorded ones if there are any."""
    recorded = recorded_observations(source.policy, source.recorded)
    batches = [random_observations(source.policy, count, rng), *([] if recorded is None else [recorded])]
    samples = []
    for batch in batches:
        rows = source.policy.observations.batch_length(batch) or 0
        masks = random_masks(arrays.sizes, rows, rng) if arrays.masked else None
        samples.append(sample_of(source.policy, arrays, batch, masks, source.own_space))
    return samples
