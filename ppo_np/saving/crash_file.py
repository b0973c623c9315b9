"""Crash files: what a run leaves when it meets a number that is not finite, so that it can be computed again.

A crash file is a sealed HDF5 file like a checkpoint (docs/checkpoint.md). It holds the parameters and the optimiser's
state, the input of the computation, the states of the random generators, and the settings in force.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.network.action_head import DISTRIBUTIONS, ActionHead
from ppo_np.saving.checkpoint import below, library_versions, read_sealed
from ppo_np.saving.files import write_whole
from ppo_np.saving.hdf5 import MALFORMED, pack, with_escapes
from ppo_np.saving.training_state import TrainingState

FORMAT, FORMAT_VERSION = "ppo_np crash", 1
ROLLOUT, MINIBATCH, ENVIRONMENT = "rollout", "minibatch", "environment"
MINIBATCH_ARRAYS = ("obs", "actions", "old_logprobs", "old_values", "advantages", "returns")


@dataclass(frozen=True, kw_only=True)
class Crash:
    """What a crash file holds.

    `arrays` are the input of the computation: obs and actions of a rollout, the `MINIBATCH_ARRAYS` of a minibatch, or
    obs or rewards as the environment gave them. With masks, rollout and minibatch also have the action_mask.
    """

    what: str  # the message that the run ended with
    during: str  # ROLLOUT (the network acted), MINIBATCH (it learned) or ENVIRONMENT (which gave the number)
    config: PPOConfig  # the settings in force, with annealed values
    head: ActionHead  # the distribution over the actions
    tensors: Mapping[str, np.ndarray]  # named as in `TrainingState.tensors`
    arrays: Mapping[str, np.ndarray]
    rng: Mapping[str, Any]  # states of the random generators

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The network's tensors, named as `ActorCritic.named` names them."""
        return below(self.tensors, "parameters")


def crash_of(
    state: TrainingState, config: PPOConfig, what: str, during: str, arrays: Mapping[str, np.ndarray]
) -> Crash:
    """What a crash file will hold, with copies of all arrays; `config` are the settings in force."""
    return Crash(
        what="".join(c if c.isprintable() else "?" for c in what), during=during, config=config, head=state.model.head,
        tensors={name: np.array(array) for name, array in state.tensors().items()},
        arrays={name: np.array(array) for name, array in arrays.items()}, rng=state.rng_states(),
    )  # fmt: skip


def write_crash(path: str | PathLike, crash: Crash) -> None:
    """Write a crash file, atomically.

    Raises:
        OSError: It cannot be written.
    """
    arrays = {**crash.tensors, **{f"rows/{name}": array for name, array in crash.arrays.items()}}
    head: dict[str, Any] = {"kind": crash.head.kind.__name__, "sizes": list(crash.head.sizes)}
    if crash.head.bounds:
        head["bounds"] = crash.head.bounds
    documents = {"config": crash.config.to_dict(), "head": head, "rng": crash.rng, "versions": library_versions()}
    texts = {name: json.dumps(document) for name, document in documents.items()}
    texts |= {"format": FORMAT, "what": crash.what, "during": crash.during}
    write_whole(Path(path), pack(arrays, {"format_version": FORMAT_VERSION, **texts}))


def read_crash(path: str | PathLike) -> Crash:
    """Read what `write_crash` wrote.

    Raises:
        UserError: There is no such file, or it is not a crash file.
    """
    arrays, attributes = read_sealed(path, "crash file", FORMAT, FORMAT_VERSION)
    try:
        settings, head, rng = (with_escapes(json.loads(attributes[name])) for name in ("config", "head", "rng"))
        config = PPOConfig.from_dict(settings, f"crash file {str(path)!r}")
        bounds = tuple(tuple(map(float, side)) for side in head.get("bounds", ()))
        return Crash(
            what=str(attributes["what"]),
            during=str(attributes["during"]),
            config=config,
            head=ActionHead(
                DISTRIBUTIONS[head["kind"]], tuple(map(int, head["sizes"])), bool(config.action_mask), bounds
            ),
            tensors={name: array for name, array in arrays.items() if not name.startswith("rows/")},
            arrays=below(arrays, "rows"),
            rng=dict(rng),
        )
    except MALFORMED as error:
        raise UserError(f"crash file {str(path)!r} cannot be read: {' '.join(str(error).split()):.300}") from error
