"""What a crash file holds, computed again: the stages of a minibatch, of a row of the rollout, or an environment's."""

from collections.abc import Iterator

import numpy as np

from ppo_np.errors import UserError
from ppo_np.network.batch import Batch
from ppo_np.network.model import ActorCritic
from ppo_np.network.tensor_trace import Stage, learning_stages, sampling_stages, state_stages
from ppo_np.saving.checkpoint import check_widths, copy_tensors
from ppo_np.saving.crash_file import MINIBATCH_ARRAYS, Crash


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
        batch = _batch(model, crash, ("obs", "actions"))
        model.forward(batch)
        batch.distribution.forward(batch.pi_out, batch.actions)
        yield from sampling_stages(model, batch)


def minibatch_stages(crash: Crash) -> Iterator[Stage]:
    """Down the stairs to the loss, and back up to the gradient of every tensor."""
    model = _network(crash)
    batch = _batch(model, crash, MINIBATCH_ARRAYS)
    model.loss_and_gradient(batch, crash.config)
    yield from learning_stages(model, batch)


def _network(crash: Crash) -> ActorCritic:
    config = crash.config
    first = "shared/0" if config.shared_sizes else "policy/0" if config.policy_sizes else "policy/head"
    try:
        check_widths(config, crash.parameters)
        obs_size, _ = crash.parameters[f"{first}/weight"].shape
        fits = crash.parameters["policy/head/bias"].shape == (crash.head.outputs,)
    except (KeyError, ValueError):
        fits = False
    if not fits:
        raise UserError("The crash file's parameters do not fit its settings.")
    model = ActorCritic(obs_size, crash.head, config, None)
    copy_tensors(crash.parameters, model.named(model.params), "crash.h5")
    return model


def _batch(model: ActorCritic, crash: Crash, names: tuple[str, ...]) -> Batch:
    """The rows in a batch.

    Raises:
        UserError: Rows are missing, or of other shapes, or actions are none that the head has.
    """
    rows = crash.rows.get("obs")
    if rows is None or not rows.ndim:
        raise UserError("The crash file has no observations.")
    batch = model.batch(len(rows))
    for name in names:
        array, target = crash.rows.get(name), getattr(batch, name)
        if array is None or array.shape != target.shape or not np.can_cast(array.dtype, target.dtype, "same_kind"):
            raise UserError(f"The crash file's {name} do not fit its settings.")
        target[:] = array
    sizes = np.maximum(model.head.sizes, 2) if batch.actions.dtype == np.int8 else np.array(model.head.sizes)
    choices = batch.actions.reshape(len(rows), -1)
    if choices.dtype.kind == "i" and not ((choices >= 0) & (choices < sizes)).all():
        raise UserError("The crash file's actions are none that its head has.")
    return batch
