"""Flight recorder: what a run leaves when it meets a number that is not finite, so that it can be computed again.

A crash file is a sealed HDF5 file like a checkpoint (docs/checkpoint.md): the parameters and Adam's moments, the rows
that were being computed, the random generators, the settings in force.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.finite import all_finite, first_outside
from ppo_np.config import PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.errors import DivergedError, UserError
from ppo_np.network.batch import Batch, Minibatch
from ppo_np.network.distributions import HEADS, ActionHead
from ppo_np.network.model import ActorCritic
from ppo_np.network.tensor_trace import NotFiniteError, Stage, learning_stages, state_stages
from ppo_np.saving.checkpoint import RNGS, below, library_versions, read_sealed
from ppo_np.saving.files import write_whole
from ppo_np.saving.hdf5 import pack

if TYPE_CHECKING:
    from ppo_np.learning.ppo import PPO

FORMAT, FORMAT_VERSION = "ppo_np crash", 1
ROLLOUT, MINIBATCH, ENVIRONMENT = "rollout", "minibatch", "environment"
LARGEST, LARGEST_NORM = sys.float_info.max, 1e18  # the latter's square must fit float32
MINIBATCH_ARRAYS = ("obs", "actions", "old_logprobs", "old_values", "advantages", "returns")


@dataclass(frozen=True, kw_only=True)
class Crash:
    """What a crash file holds.

    Attributes:
        what: the sentence that the run ended with.
        during: "rollout" (the network acted), "minibatch" (it learnt) or "environment" (which gave the number).
        config: the settings in force, annealed ones as they were.
        head: the distribution over the actions.
        parameters, adam_m, adam_v: named tensors.
        rows: what was computed on: obs for a rollout; all that `MINIBATCH_ARRAYS` names for a minibatch; obs or rewards
            as the environment gave them.
        rng: states of the random generators.
    """

    what: str
    during: str
    config: PPOConfig
    head: ActionHead
    parameters: Mapping[str, np.ndarray]
    adam_m: Mapping[str, np.ndarray]
    adam_v: Mapping[str, np.ndarray]
    rows: Mapping[str, np.ndarray]
    rng: Mapping[str, Any]


GROUPS = {"parameters": "parameters", "adam_m": "adam/m", "adam_v": "adam/v", "rows": "rows"}


def write_crash(path: str | PathLike, crash: Crash) -> None:
    """Write a crash file, atomically.

    Raises:
        OSError: It cannot be written.
    """
    arrays = {f"{group}/{n}": a for field, group in GROUPS.items() for n, a in getattr(crash, field).items()}
    head = {"kind": crash.head.kind.__name__, "sizes": list(crash.head.sizes)}
    documents = {"config": crash.config.to_dict(), "head": head, "rng": crash.rng, "versions": library_versions()}
    attributes = {"format": FORMAT, "format_version": FORMAT_VERSION, "what": crash.what, "during": crash.during}
    write_whole(Path(path), pack(arrays, attributes | {name: json.dumps(d) for name, d in documents.items()}))


def read_crash(path: str | PathLike) -> Crash:
    """Read what `write_crash` wrote.

    Raises:
        UserError: There is no such file, or it is not a crash file.
    """
    arrays, attributes = read_sealed(path, "crash file", FORMAT, FORMAT_VERSION)
    try:
        config, head, rng = (json.loads(attributes[name]) for name in ("config", "head", "rng"))
        if not attributes["what"].isprintable():
            raise ValueError("what it says is not fit for a terminal")
        return Crash(
            what=attributes["what"],
            during=str(attributes["during"]),
            config=PPOConfig.from_dict(config, f"crash file {str(path)!r}"),
            head=ActionHead(HEADS[head["kind"]], tuple(map(int, head["sizes"]))),
            **{field: below(arrays, group) for field, group in GROUPS.items()},
            rng=dict(rng),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise UserError(f"crash file {str(path)!r} cannot be read: {' '.join(str(error).split()):.300}") from error


def check_state(ppo: "PPO", config: PPOConfig, where: str) -> None:
    """Refuse to go on from parameters, moments or statistics that are not finite, before anybody saves them.

    Raises:
        DivergedError: They are not.
    """
    flats = (ppo.model.params, ppo.m, ppo.v, *(array for _, array in statistics_stages(ppo)))
    if not all(map(all_finite, flats)):
        ppo.resumable = False
        error = NotFiniteError(chain(state_stages(ppo.model, ppo.m, ppo.v), statistics_stages(ppo)))
        raise diverged(ppo, config, where, error, ROLLOUT, {}, "it was not saved")


def statistics_stages(ppo: "PPO") -> Iterator[Stage]:
    """The running statistics of observations and rewards."""
    for name, n in (("observations", ppo.policy.obs_moments), ("rewards", ppo.reward_scaler)):
        for what, array in n.arrays().items() if n else ():
            yield Stage(f"{what} of the {name}", array)


def check_minibatch(
    model: ActorCritic, minibatch: Minibatch, norm: float, config: PPOConfig, ranks: Ranks = ALONE
) -> None:
    """Refuse what Adam must not see.

    Looked at are the loss terms, the gradient by its norm, and what can hide from both: numbers of the rollout behind
    max() and clipping, parameters behind saturated units. An infinite ratio can hide from the loss, but not from
    approx_kl.

    Raises:
        NotFiniteError: Something is not finite, or the square of the gradient is too large for float32.
    """
    finite = math.isfinite(norm) and first_outside(minibatch.terms, LARGEST) < 0
    if not (finite and all_finite(minibatch.loss_inputs.reshape(-1)) and all_finite(model.params)):
        raise NotFiniteError(learning_stages(model, _in_one_piece(model, minibatch, config, ranks)))
    if min(norm, config.max_grad_norm) > LARGEST_NORM:
        raise NotFiniteError(iter([Stage("square of the gradient, whose norm is too large,", np.array(np.inf))]))


def _in_one_piece(model: ActorCritic, minibatch: Minibatch, config: PPOConfig, ranks: Ranks) -> Batch:
    """A minibatch that was computed in blocks, or on several ranks, computed again with all arrays on the way."""
    if isinstance(minibatch, Batch) and ranks.size == 1:
        return minibatch
    batch = model.batch(minibatch.total)
    for name, array in rows_of_all(minibatch, ranks).items():
        getattr(batch, name)[:] = array
    model.backpropagate(batch, config, 1.0)
    batch.terms[:] = minibatch.terms
    return batch


def rows_of_all(minibatch: Minibatch, ranks: Ranks) -> dict[str, np.ndarray]:
    """What `MINIBATCH_ARRAYS` names, with the rows of all ranks, in the order of the ranks."""
    own = {name: getattr(minibatch, name) for name in MINIBATCH_ARRAYS}
    parts = ranks.gather(own)
    return {name: np.concatenate([part[name] for part in parts]) for name in own}


def diverged(
    ppo: "PPO", config: PPOConfig, where: str, error: NotFiniteError, during: str, rows: Mapping,
    end: str = "Adam has changed nothing by it",
) -> DivergedError:  # fmt: skip
    """The exception that ends a run, with everything in it that is needed to compute the number again."""
    found = f"{error.finding} where everything before it was finite" if error.finding else "a number is not finite"
    diverged = DivergedError(f"In update {ppo.update + 1}, {where}, {found}; {end}.")
    diverged.crash = crash_of(ppo, config, str(diverged), during, rows)
    return diverged


def crash_of(ppo: "PPO", config: PPOConfig, what: str, during: str, rows: Mapping[str, np.ndarray]) -> Crash:
    """What a crash file is to hold, in arrays of its own; `config` are the settings in force."""
    named = ppo.model.named
    tensors = {"parameters": named(ppo.model.params), "adam_m": named(ppo.m), "adam_v": named(ppo.v), "rows": rows}
    return Crash(
        what="".join(c if c.isprintable() else "?" for c in what), during=during, config=config, head=ppo.model.head,
        rng={name: getattr(ppo, name).bit_generator.state for name in RNGS},
        **{field: {name: np.array(array) for name, array in arrays.items()} for field, arrays in tensors.items()},
    )  # fmt: skip
