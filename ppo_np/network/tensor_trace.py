"""The numbers of a computation in the order in which they come about, and the first of them that is not finite."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kernels.loss import LOSS_TERMS
from ppo_np.network.batch import Batch
from ppo_np.network.model import LOG_STD, ActorCritic


class Stage(NamedTuple):
    """A tensor on the way, by the name that people know it by."""

    name: str
    array: np.ndarray


class Finding(NamedTuple):
    """A number that is not finite: in which stage, where in it, and which of the three (nan, inf, -inf)."""

    name: str
    place: tuple[int, ...]
    value: float

    def __str__(self) -> str:
        place = f" at {list(self.place)}" if self.place else ""
        return f"{self.name}{place} is {self.value}"


class NotFiniteError(Exception):
    """A computation has met a number that is not finite.

    Attributes:
        finding: the first one; None if none of the stages has one (anymore).
    """

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


def state_stages(model: ActorCritic, m: np.ndarray, v: np.ndarray) -> Iterator[Stage]:
    """What Adam and the network remember, in the order in which a step of Adam changes them."""
    for what, flat in (("Adam's m of", m), ("Adam's v of", v), ("parameter", model.params)):
        for name, tensor in model.named(flat).items():
            yield Stage("log_std" if what == "parameter" and name == LOG_STD else f"{what} {name}", tensor)


def acting_stages(model: ActorCritic, batch: Batch) -> Iterator[Stage]:
    """From observations to the outputs of the network."""
    tensors = model.named(model.params)
    yield Stage("observation", batch.obs)
    for tower, outputs in batch.outputs.items():
        for layer, output in enumerate(outputs):
            head = tower != "shared" and layer == len(outputs) - 1
            name = f"{tower}/head" if head else f"{tower}/{layer}"
            yield Stage(f"parameter {name}/weight", tensors[f"{name}/weight"])
            yield Stage(f"parameter {name}/bias", tensors[f"{name}/bias"])
            result = {"policy": batch.distribution.output_name, "value": "values"}[tower] if head else None
            yield Stage(result or f"output of layer {name}", output)
            if result and tower == "policy" and model.head.has_log_std:
                yield Stage("log_std", tensors[LOG_STD])


def sampling_stages(model: ActorCritic, batch: Batch) -> Iterator[Stage]:
    """From observations to actions and their log-probabilities."""
    yield from acting_stages(model, batch)
    yield Stage("logprobs of the drawn actions", batch.distribution.logprobs)


def learning_stages(model: ActorCritic, batch: Batch) -> Iterator[Stage]:
    """From a minibatch down to the loss, and back up to the gradient of every tensor."""
    for name in ("actions", "old_logprobs", "old_values", "advantages", "returns"):
        yield Stage(name, getattr(batch, name))
    yield from acting_stages(model, batch)
    pi = batch.distribution
    yield Stage("logprobs", pi.logprobs)
    yield Stage("entropies", pi.entropies)
    with np.errstate(all="ignore"):
        yield Stage("ratio", np.exp(np.float64(pi.logprobs) - np.float64(batch.old_logprobs)))
    for term, value in zip(LOSS_TERMS, batch.terms, strict=True):
        yield Stage(term, np.array(value))
    for name, array in (
        ("logprobs", batch.dlogprobs), ("entropies", batch.dentropies), ("values", batch.dvalues),
        (pi.output_name, batch.dpi_out),
    ):  # fmt: skip
        yield Stage(f"gradient by {name}", array)
    for name, tensor in reversed(model.named(model.grads).items()):
        yield Stage(f"gradient of {'log_std' if name == LOG_STD else f'layer {name}'}", tensor)
