"""Repeats the computation in a crash file: a minibatch, a step of the rollout, or the output of environments."""

from collections.abc import Iterator, Sequence

import numpy as np

from kernels.advantage import normalize
from ppo_np.environments.action_masks import MASK
from ppo_np.errors import UserError
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic
from ppo_np.network.tensor_trace import Stage, learning_stages, sampling_stages, state_stages
from ppo_np.saving.checkpoint import below, check_widths, copy_tensors
from ppo_np.saving.crash_file import ENVIRONMENT, MINIBATCH, MINIBATCH_ARRAYS, Crash


def recompute(crash: Crash) -> list[Stage]:
    """All stages of the computation in which the run ended, in order.

    Raises UserError if the parts of the crash file do not fit each other.
    """
    kinds = {ENVIRONMENT: _environment_stages, MINIBATCH: _minibatch_stages}
    return list(kinds.get(crash.during, _rollout_stages)(crash))


def _environment_stages(crash: Crash) -> Iterator[Stage]:
    """Observations or rewards of the environment, before the network uses them."""
    for name, array in crash.arrays.items():
        yield Stage({"obs": "observation", "rewards": "reward"}.get(name, name), array)


def _rollout_stages(crash: Crash) -> Iterator[Stage]:
    """Parameters and optimiser state, and the outputs of the network if it had begun to act."""
    model = _network(crash)
    yield from state_stages(model, _optimizer_vectors(crash, model))
    if crash.arrays:
        minibatch = _minibatch(model, crash, ("obs", "actions"))
        activations = model.activations(minibatch.rows)
        model.forward(minibatch.obs, activations)
        activations.distribution.forward(activations.policy_outputs, minibatch.actions, minibatch.action_mask)
        yield from sampling_stages(model, minibatch.obs, activations)


def _minibatch_stages(crash: Crash) -> Iterator[Stage]:
    """The forward pass to the loss and the backward pass to the gradient of every tensor."""
    model = _network(crash)
    minibatch = _minibatch(model, crash, MINIBATCH_ARRAYS)
    activations = model.activations(minibatch.rows)
    if crash.config.norm_adv:
        normalize(minibatch.advantages, minibatch.advantages)
    model.loss_and_gradient(minibatch, activations, crash.config)
    yield from learning_stages(model, minibatch, activations)


def _network(crash: Crash) -> ActorCritic:
    config, parameters = crash.config, crash.parameters
    first = "shared/0" if config.shared_sizes else "policy/0" if config.policy_sizes else "policy/head"
    try:
        check_widths(config, parameters)
        obs_size, _ = parameters[f"{first}/weight"].shape
        fits = parameters["policy/head/bias"].shape == (crash.head.outputs,)
    except (KeyError, ValueError):
        fits = False
    if not fits:
        raise UserError("The crash file's parameters do not fit its settings.")
    model = ActorCritic(obs_size, crash.head, config, None)
    copy_tensors(parameters, model.named(model.params), "crash.h5")
    return model


def _optimizer_vectors(crash: Crash, model: ActorCritic) -> dict[str, np.ndarray]:
    """The vectors of the optimiser state by names such as adam/m, (P,) each."""
    suffix = f"/{next(iter(model.shapes))}"
    names = [name.removesuffix(suffix) for name in crash.tensors if name.endswith(suffix)]
    vectors = {name: np.zeros(model.params.size, model.dtype) for name in names if name != "parameters"}
    for name, vector in vectors.items():
        copy_tensors(below(crash.tensors, name), model.named(vector), "crash.h5")
    return vectors


def _minibatch(model: ActorCritic, crash: Crash, names: Sequence[str]) -> Minibatch:
    """The arrays of these names in a minibatch. Raises UserError if one is missing or has a wrong shape or range."""
    obs = crash.arrays.get("obs")
    if obs is None or not obs.ndim:
        raise UserError("The crash file has no observations.")
    minibatch = model.minibatch(len(obs))
    for name in (*names, MASK) if model.head.masked else names:
        array, target = crash.arrays.get(name), getattr(minibatch, name)
        if array is None or array.shape != target.shape or not np.can_cast(array.dtype, target.dtype, "same_kind"):
            what = "action masks" if name == MASK else name
            raise UserError(f"The crash file's {what} do not fit its settings.")
        target[:] = array
    sizes = np.maximum(model.head.sizes, 2) if minibatch.actions.dtype == np.int8 else np.array(model.head.sizes)
    choices = minibatch.actions.reshape(len(obs), -1)
    if choices.dtype.kind == "i" and not ((choices >= 0) & (choices < sizes)).all():
        raise UserError("The crash file's actions are not in the range that its settings allow.")
    return minibatch
