"""What a crash file holds, computed again: the stages of a minibatch, of a row of the rollout, or an environment's."""

from collections.abc import Iterator

import numpy as np

from ppo_np.checkpoint import copy_tensors
from ppo_np.errors import UserError
from ppo_np.flight import MINIBATCH_ARRAYS, Crash
from ppo_np.model import ActorCritic, Batch
from ppo_np.stages import Stage, acting_stages, learning_stages, state_stages


def environment_stages(crash: Crash) -> Iterator[Stage]:
    """What the environment gave: the network has not seen it."""
    for name, array in crash.rows.items():
        yield Stage({"obs": "observation", "rewards": "reward"}.get(name, name), array)


def rollout_stages(crash: Crash) -> Iterator[Stage]:
    """The state of network and Adam, and the network's outputs, if it had begun to act."""
    model = _network(crash)
    m, v = np.zeros((2, model.params.size), model.dtype)
    for flat, tensors in ((m, crash.adam_m), (v, crash.adam_v)):
        copy_tensors(tensors, model.named(flat), "crash.h5")
    yield from state_stages(model, m, v)
    if crash.rows:
        batch = _batch(model, crash, ("obs",))
        model.forward(batch)
        yield from acting_stages(model, batch)


def minibatch_stages(crash: Crash) -> Iterator[Stage]:
    """Down the stairs to the loss, and back up to the gradient of every tensor."""
    model = _network(crash)
    batch = _batch(model, crash, MINIBATCH_ARRAYS)
    model.loss_and_gradient(batch, crash.config)
    yield from learning_stages(model, batch)


def _network(crash: Crash) -> ActorCritic:
    config = crash.config
    first = "shared/0" if config.shared_sizes else "policy/0" if config.policy_sizes else "policy/head"
    if f"{first}/weight" not in crash.parameters:
        raise UserError("The crash file's parameters do not fit its settings.")
    obs_size = len(crash.parameters[f"{first}/weight"])
    model = ActorCritic(obs_size, crash.head, config, None)
    copy_tensors(crash.parameters, model.named(model.params), "crash.h5")
    return model


def _batch(model: ActorCritic, crash: Crash, names: tuple[str, ...]) -> Batch:
    batch = model.batch(len(crash.rows["obs"]))
    for name in names:
        getattr(batch, name)[:] = crash.rows[name]
    return batch
