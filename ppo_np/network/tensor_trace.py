"""A trace of a computation: its tensors in the order of computation, and the first number that is not finite."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from kernels.loss import LOSS_TERMS
from ppo_np.network.activations import Activations
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import LOG_STD, ActorCritic


class Stage(NamedTuple):
    """A tensor of the computation and its usual name."""

    name: str
    array: np.ndarray


class Finding(NamedTuple):
    """A number that is not finite: name of its stage, indices in it, and the value (nan, inf or -inf)."""

    name: str
    place: tuple[int, ...]
    value: float

    def __str__(self) -> str:
        place = f" at {list(self.place)}" if self.place else ""
        return f"{self.name}{place} is {self.value}"


class NotFiniteError(Exception):
    """A computation gave a number that is not finite; `finding` is the first one, or None if all are finite now."""

    def __init__(self, stages: Iterator[Stage]):
        self.finding = first_bad(stages)
        super().__init__(str(self.finding))


def first_bad(stages: Iterator[Stage]) -> Finding | None:
    """The first number that is not finite, or None."""
    for name, array in stages:
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            place = tuple(map(int, bad[0]))
            return Finding(name, place, float(array[place]))
    return None


def state_stages(model: ActorCritic, optimizer: Mapping[str, np.ndarray]) -> Iterator[Stage]:
    """The optimiser's vectors, (P,) by names such as adam/m, then the parameters, in the order of a step."""
    for vector, flat in optimizer.items():
        kind, _, name = vector.partition("/")
        for tensor_name, tensor in model.named(flat).items():
            yield Stage(f"{kind.capitalize()}'s {name} of {tensor_name}", tensor)
    for name, tensor in model.named(model.params).items():
        yield Stage("log_std" if name == LOG_STD else f"parameter {name}", tensor)


def acting_stages(model: ActorCritic, obs: np.ndarray, activations: Activations) -> Iterator[Stage]:
    """From observations, (B, D), to the outputs of the network."""
    tensors = model.named(model.params)
    heads = {"policy/head": activations.distribution.output_name, "value/head": "values"}
    yield Stage("observation", obs)
    for tower, outputs in activations.outputs.items():
        layers = [name.removesuffix("/bias") for name in tensors if name.startswith(tower) and name.endswith("/bias")]
        for layer, output in zip(layers, outputs, strict=True):
            yield Stage(f"parameter {layer}/weight", tensors[f"{layer}/weight"])
            yield Stage(f"parameter {layer}/bias", tensors[f"{layer}/bias"])
            yield Stage(heads.get(layer, f"output of layer {layer}"), output)
        if tower == "policy" and model.head.has_log_std:
            yield Stage("log_std", tensors[LOG_STD])


def sampling_stages(model: ActorCritic, obs: np.ndarray, activations: Activations) -> Iterator[Stage]:
    """From observations, (B, D), to actions and their log-probabilities."""
    yield from acting_stages(model, obs, activations)
    yield Stage("logprobs of the drawn actions", activations.distribution.logprobs)


def learning_stages(model: ActorCritic, minibatch: Minibatch, activations: Activations) -> Iterator[Stage]:
    """From a minibatch forward to the loss, then backward to the gradient with respect to every tensor."""
    for name in ("actions", "old_logprobs", "old_values", "advantages", "returns"):
        yield Stage(name, getattr(minibatch, name))
    yield from acting_stages(model, minibatch.obs, activations)
    distribution = activations.distribution
    yield Stage("logprobs", distribution.logprobs)
    yield Stage("entropies", distribution.entropies)
    with np.errstate(all="ignore"):
        yield Stage("ratio", np.exp(np.float64(distribution.logprobs) - np.float64(minibatch.old_logprobs)))
    for term, value in zip(LOSS_TERMS, activations.loss_terms, strict=True):
        yield Stage(term, np.array(value))
    yield Stage("gradient with respect to logprobs", activations.dlogprobs)
    yield Stage("gradient with respect to entropies", activations.dentropies)
    yield Stage("gradient with respect to values", activations.dvalues)
    yield Stage(f"gradient with respect to {distribution.output_name}", activations.dpolicy_outputs)
    for name, tensor in reversed(model.named(model.grads).items()):
        yield Stage(f"gradient of {'log_std' if name == LOG_STD else f'layer {name}'}", tensor)
