"""Checkpoints: sealed HDF5 files with everything that a run needs to continue; docs/checkpoint.md describes them.

Contents of the file:
    /                 attributes: format, format_version, complete, ranks, and as JSON: versions, config, rng
    /counters/...     update, global_step, adam_step, environments_reset (integers), wall_time (seconds); with
                      kl_adaptive_lr also adaptive_lr, the learning rate of the next update
    /parameters/...   one dataset per tensor, named tower/layer/weight or tower/layer/bias
    /adam/m/...       the same tensors of Adam's first moment; /adam/v/... of the second
    /normalizer/...   obs/count, obs/mean, obs/variance, the same of reward, and reward/running; only with normalisation
    /environments/... how to restore the environments, as in `EnvRecord`; only if that is known
    /recent_episodes  (K, 2), returns and lengths of the last 100 episodes
    /spaces           bytes of a JSON document: the spaces of a single environment, as `space_json` describes them;
                      only if it can
"""

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space

from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import Ranks
from ppo_np.environments.env_recorder import EnvRecord
from ppo_np.environments.space_json import to_json
from ppo_np.environments.stream import Episode
from ppo_np.errors import UserError
from ppo_np.network.optimizer import Optimizer
from ppo_np.saving.files import write_whole
from ppo_np.saving.hdf5 import MALFORMED, SealError, pack, printable, unpack, with_escapes
from ppo_np.saving.training_state import COUNTERS, RNGS, TrainingState

FORMAT, FORMAT_VERSION = "ppo_np checkpoint", 3
RUNNING = "reward/running"  # one number for each environment, so each rank has a part of it
TENSORS = ("parameters/", f"{Optimizer.name}/")  # groups of arrays with one tensor for each of the network's


class DamagedFileError(UserError):
    """A file is missing, or it was read and is damaged: its content is lost. Other files may be readable later."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a checkpoint file holds."""

    config: PPOConfig
    tensors: Mapping[str, np.ndarray]  # named as in `TrainingState.tensors`
    counters: Mapping[str, int]  # the numbers that `COUNTERS` names
    wall_time: float  # seconds of training
    rng: Mapping[str, Any]  # states of the random generators
    normalizer: Mapping[str, np.ndarray]  # running statistics, such as obs/mean
    recent_episodes: np.ndarray  # (K, 2), returns and lengths
    environments: EnvRecord | None  # None if it is not known how to restore them
    versions: Mapping[str, str]  # of Python and the libraries
    ranks: int = 1  # number of ranks that trained; any number can continue
    path: str = ""  # of the file, for messages
    adaptive_lr: float | None = None  # learning rate of the next update, with kl_adaptive_lr
    spaces: Mapping[str, Any] | None = None  # documents of the observation space and of the action space

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The network's tensors, named as `ActorCritic.named` names them."""
        return below(self.tensors, "parameters")


def capture(
    state: TrainingState, config: PPOConfig, environments: EnvRecord | None, action_rng: Any, ranks: Ranks,
    observation_space: Space, action_space: Space,
) -> Checkpoint:  # fmt: skip
    """What a checkpoint holds of a training state; all ranks must call this, and the result is the same on all.

    Args:
        state, config: of the run. ranks: that share it.
        environments: those of this rank; None if it is not known how to restore them.
        action_rng: state of the generator of actions that belongs to these environments.
        observation_space, action_space: of a single environment.
    """
    normalizer = state.normalizer_arrays()
    if RUNNING in normalizer:
        normalizer[RUNNING] = np.concatenate(ranks.allgather(normalizer[RUNNING]))
    if environments is not None:
        environments = EnvRecord.joined(ranks.allgather(environments))
    spaces = {"observation": to_json(observation_space), "action": to_json(action_space)}
    return Checkpoint(
        config=config,
        tensors=state.tensors(),
        counters={name: getattr(state, name) for name in COUNTERS},
        wall_time=state.wall_time,
        rng=state.rng_states() | {"action_rng": action_rng},
        normalizer=normalizer,
        recent_episodes=np.array(state.recent_episodes, np.float64).reshape(-1, 2),
        environments=environments,
        versions=library_versions(),
        ranks=ranks.size,
        adaptive_lr=state.adaptive_lr,
        spaces=spaces if all(spaces.values()) else None,
    )


def restore(state: TrainingState, saved: Checkpoint, num_envs: int, ranks: Ranks) -> None:
    """Write a saved state into a new one, without the environments; the number of ranks may differ.

    Args:
        state: overwritten. saved: the checkpoint.
        num_envs: N, over all ranks. ranks: share the environments.

    Raises:
        UserError: The checkpoint does not fit the network, or the state of a generator is unusable.
    """
    path, normalizer = saved.path, dict(saved.normalizer)
    if RUNNING in normalizer and len(normalizer[RUNNING]) == num_envs:
        envs = ranks.envs(num_envs)
        normalizer[RUNNING] = normalizer[RUNNING][envs.start : envs.stop]
    copy_tensors(normalizer, state.normalizer_arrays(), path)
    copy_tensors(saved.parameters, state.model.named(state.model.params), path)  # first, for clear messages
    copy_tensors(saved.tensors, state.tensors(), path)
    for name in COUNTERS:
        setattr(state, name, saved.counters[name])
    state.wall_time = saved.wall_time
    if state.adaptive_lr is not None and saved.adaptive_lr is not None:
        state.adaptive_lr = saved.adaptive_lr
    state.recent_episodes += [Episode(float(total), int(length)) for total, length in saved.recent_episodes]
    for name, rng in state.rngs.items():
        with suppress(*MALFORMED):
            rng.bit_generator.state = saved.rng[name]
        if rng.bit_generator.state != saved.rng[name]:
            raise UserError(f"checkpoint {str(path)!r} has no usable state of {name}.")


def another_seed(saved: Checkpoint) -> int:
    """A seed for environments that cannot be restored: not the first one, or their episodes would repeat."""
    sequence = np.random.SeedSequence((saved.config.seed, saved.counters["global_step"]))
    return int(sequence.generate_state(1)[0] >> 1)


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the numbers of a run depend on."""
    libraries = "numpy", "numba", "scipy", "gymnasium", "h5py"
    return {"python": platform.python_version()} | {name: _version(name) for name in libraries}


_version = cache(version)  # reads files for some milliseconds, and each checkpoint asks


def previous_of(path: str | PathLike) -> Path:
    """Where the checkpoint before the one at `path` is kept: x.prev.h5 for x.h5."""
    return Path(path).with_suffix(f".prev{Path(path).suffix}")


def write_checkpoint(path: str | PathLike, checkpoint: Checkpoint, keep_previous: bool = False) -> None:
    """Write a checkpoint so that there is always a whole file at `path`: the old one, or the new one.

    With `keep_previous`, the old file is kept under the name that `previous_of` gives.

    Raises:
        OSError: The folder is missing, full or read-only, or what was read again differs; the old file is untouched.
    """
    _write(Path(path), _packed(checkpoint), previous_of(path) if keep_previous else None)


def _write(path: Path, packed: bytes, previous: Path | None = None) -> None:
    def verify(data: bytes) -> None:
        try:
            unpack(data)
        except SealError as error:
            raise OSError(f"what was written to {str(path)!r} came back different: {error}") from error

    write_whole(path, packed, verify, previous)


class CheckpointFile:
    """A checkpoint file that is tried again, with the same state, if it could not be written.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._pending: bytes | None = None

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; raises OSError if that is not possible now. Then `sync` tries again."""
        self._pending = _packed(checkpoint)
        self.sync()

    def sync(self) -> None:
        """Write the last checkpoint if it is not on disk yet. Raises OSError if that is not possible now."""
        if self._pending is not None:
            _write(self.path, self._pending)
            self._pending = None


def _packed(checkpoint: Checkpoint) -> bytes:
    arrays = {f"counters/{name}": np.array(checkpoint.counters[name]) for name in COUNTERS}
    arrays["counters/wall_time"] = np.array(checkpoint.wall_time)
    if checkpoint.adaptive_lr is not None:
        arrays["counters/adaptive_lr"] = np.array(checkpoint.adaptive_lr)
    arrays |= checkpoint.tensors
    arrays |= {f"normalizer/{name}": array for name, array in checkpoint.normalizer.items()}
    if checkpoint.environments:
        arrays |= {f"environments/{name}": array for name, array in checkpoint.environments.arrays().items()}
    arrays["recent_episodes"] = checkpoint.recent_episodes
    if checkpoint.spaces:  # an attribute of an HDF5 file has at most 64 KB
        arrays["spaces"] = np.frombuffer(json.dumps(checkpoint.spaces).encode(), np.uint8)
    documents = {"config": checkpoint.config.to_dict(), "rng": checkpoint.rng, "versions": checkpoint.versions}
    texts = {name: json.dumps(document) for name, document in documents.items()}
    return pack(arrays, {"format": FORMAT, "format_version": FORMAT_VERSION, "ranks": checkpoint.ranks, **texts})


def read_checkpoint(path: str | PathLike) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises:
        UserError: There is no such file, it cannot be read, or it is not a whole checkpoint of the known format.
    """
    arrays, attributes = read_sealed(path, "checkpoint", FORMAT, FORMAT_VERSION)
    try:
        _check_numbers(arrays)
        config, rng, versions = (with_escapes(json.loads(attributes[name])) for name in ("config", "rng", "versions"))
        config = PPOConfig.from_dict(config, f"checkpoint {str(path)!r}")
        check_widths(config, below(arrays, "parameters"))
        environments = EnvRecord.of_arrays(below(arrays, "environments"))
        if environments and len(environments.returns) != config.num_envs:
            found = len(environments.returns)
            raise ValueError(f"it is for {found} environments, but the settings say {config.num_envs}")
        return Checkpoint(
            config=config,
            tensors={name: array for name, array in arrays.items() if name.startswith(TENSORS)},
            normalizer=below(arrays, "normalizer"),
            counters={name: int(arrays[f"counters/{name}"]) for name in COUNTERS},
            wall_time=float(arrays["counters/wall_time"]),
            rng={name: rng[name] for name in RNGS},
            recent_episodes=arrays["recent_episodes"].reshape(-1, 2).astype(np.float64),
            environments=environments,
            versions=dict(versions),
            ranks=int(attributes.get("ranks", 1)),
            path=str(path),
            adaptive_lr=None if config.kl_adaptive_lr is None else float(arrays["counters/adaptive_lr"]),
            spaces=with_escapes(json.loads(arrays["spaces"].tobytes())) if "spaces" in arrays else None,
        )
    except MALFORMED as error:
        reason = " ".join(str(error).split())
        raise UserError(f"checkpoint is {str(path)!r}, but it cannot be read as a checkpoint: {reason:.300}") from error


def _check_numbers(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError if a number is infinite or NaN, or if a counter is not an integer >= 0."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{printable(name)} is not finite")
    for name in COUNTERS:
        count = arrays[f"counters/{name}"]
        if count.dtype.kind not in "iu" or count.shape or count < 0:
            raise ValueError(f"counters/{name} is not a count")


def check_widths(config: PPOConfig, parameters: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError or KeyError if the hidden layers have other widths than the settings say."""
    towers = {"shared": config.shared_sizes, "policy": config.policy_sizes, "value": config.value_sizes}
    for tower, sizes in towers.items():
        for layer, size in enumerate(sizes):
            if parameters[f"{tower}/{layer}/bias"].shape != (size,):
                raise ValueError(f"{tower}/{layer} is not as wide as the settings say")


def read_sealed(path: str | PathLike, what: str, form: str, version: int) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and attributes of a sealed file of a certain format; their names and texts are printable.

    Args:
        path: of the file. what: name of the argument, for messages.
        form, version: the attributes `format` and `format_version` that the file must have.

    Raises:
        DamagedFileError: There is no such file, or it was read and is damaged.
        UserError: It cannot be read at present, or it has another format.
    """
    try:
        arrays, attributes = unpack(Path(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DamagedFileError(f"{what} is {str(path)!r}, but there is no such file.") from error
    except OSError as error:
        raise UserError(f"{what} is {str(path)!r}, but it cannot be read: {error.strerror}.") from error
    except SealError as error:
        raise DamagedFileError(f"{what} is {str(path)!r}, but it cannot be read as a {what}: {error}.") from error
    if attributes.get("format") != form:
        raise UserError(f"{what} is {str(path)!r}, but that is not a {form}.")
    if (found := attributes.get("format_version")) != version:
        raise UserError(f"{what} {str(path)!r} has format {found!r:.50}, but only {version} can be read.")
    return {with_escapes(name): array for name, array in arrays.items()}, with_escapes(attributes)


def below(arrays: Mapping[str, np.ndarray], group: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with group/, by the rest of their names."""
    return {name.removeprefix(f"{group}/"): a for name, a in arrays.items() if name.startswith(f"{group}/")}


def copy_tensors(source: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray], path: str | PathLike) -> None:
    """Copy saved tensors into those of a network.

    Raises:
        UserError: A name, a shape or a dtype differs: the checkpoint belongs to another network or environment.
    """
    if set(source) != set(target):
        odd = printable(min(set(source) ^ set(target)))
        raise UserError(f"checkpoint {str(path)!r} does not fit the network: only one of them has the tensor {odd}.")
    for name, tensor in target.items():
        if source[name].shape != tensor.shape or source[name].dtype != tensor.dtype:
            raise UserError(
                f"checkpoint {str(path)!r} does not fit the environment: {name} has shape {source[name].shape} "
                f"({source[name].dtype}), but it must be {tensor.shape} ({tensor.dtype})."
            )
    for name, tensor in target.items():  # none is changed if one of them does not fit
        tensor[:] = source[name]
