"""Central differences of the loss with respect to any number between the observations and the loss, in float64.

    numeric = (L(x + h d) - L(x - h d)) / 2h,   x a tensor of the computation, d a direction in it

The forward pass is repeated with x moved by h d wherever x is used: parameters, outputs of layers before their
activation, the trunk's output on its way into one tower, log-probabilities, entropies and values.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kernels.activation import RELU, activation_forward
from kernels.linear import linear_forward
from kernels.loss import LOSS_TERMS, ppo_loss_forward
from ppo_np.config import PPOConfig
from ppo_np.network.activations import Activations
from ppo_np.network.minibatch import Minibatch
from ppo_np.network.model import ActorCritic

STEPS = 1e-5, 1e-6  # the second one where a kink lies within the first one
RELATIVE, ABSOLUTE = 1e-6, 1e-9  # allowed error; the absolute one for a loss of size 1
PARAMS = "params"  # the whole vector
FORK = "fork"  # the output of the trunk, in both towers


class Difference(NamedTuple):
    """A numeric derivative, NaN if a kink lies too near, and the absolute error that rounding may give it."""

    value: float
    rounding: float


class Nudged:
    """A copy of a network and of a minibatch in float64, in which one tensor at a time is moved.

    Attributes:
        model, minibatch: the copies.
        activations: after a forward and a backward pass of the copies; their `loss_terms` are those in float64.
    """

    def __init__(self, model: ActorCritic, minibatch: Minibatch, config: PPOConfig):
        self.model = ActorCritic(model.obs_size, model.head, config, None, np.float64)
        self.model.params[:] = model.params
        self.minibatch = self.model.minibatch(minibatch.rows)
        for name in ("obs", "actions", "loss_inputs"):
            getattr(self.minibatch, name)[:] = getattr(minibatch, name)
        if minibatch.action_mask is not None:
            self.minibatch.action_mask = minibatch.action_mask
        self.activations = self.model.activations(minibatch.rows)
        self.model.loss_and_gradient(self.minibatch, self.activations, config)
        self._config = config
        self._scratch = self.model.activations(minibatch.rows)
        self._tensors = self.model.named(self.model.params) | {PARAMS: self.model.params}
        self._weights = np.zeros(len(LOSS_TERMS))  # of the terms in the loss
        for term, weight in (("policy_loss", 1), ("entropy", -config.ent_coef), ("value_loss", config.vf_coef)):
            self._weights[LOSS_TERMS.index(term)] = weight
        self._unit = min(1.0, self.activations.distribution.smallest_std)  # a narrow Gaussian needs a smaller step
        self._moved_terms("", np.zeros(0))
        self._sides = self._present_sides()

    def along(self, name: str, direction: np.ndarray) -> Difference:
        """The derivative of the loss when a tensor moves along a direction of the tensor's shape.

        Args:
            name: of a parameter tensor, or "params", or logprobs, entropies, values; a layer such as shared/0 or
                policy/head (its output before the activation); policy/input, value/input (what the tower gets); fork
                (what both towers get).
            direction: of the shape of the tensor.
        """
        for step in STEPS:
            h = step * self._unit
            plus, above = self._moved_terms(name, h * direction), self._present_sides()
            minus, below = self._moved_terms(name, -h * direction), self._present_sides()
            change = self._weights @ (plus - minus)  # terms that have not moved cancel exactly
            moved = np.abs(self._weights * plus)[plus != minus].sum()
            if np.array_equal(above, self._sides) and np.array_equal(below, self._sides):
                return Difference(float(change / (2 * h)), float(ABSOLUTE / self._unit * max(1.0, moved)))
        return Difference(float("nan"), 0.0)

    def at(self, name: str, shape: tuple[int, ...], place: tuple[int, ...]) -> Difference:
        """The derivative with respect to one number of a tensor of this shape."""
        direction = np.zeros(shape)
        direction[place] = 1
        return self.along(name, direction)

    def loss(self, params: np.ndarray) -> float:
        """The loss of the minibatch with other parameters, (P,)."""
        terms = self._moved_terms(PARAMS, params - self.model.params)
        return float(self._weights @ terms)

    def _moved_terms(self, name: str, shift: np.ndarray) -> np.ndarray:
        """The loss terms, (6,), after a forward pass with one tensor shifted."""
        tensor = self._tensors.get(name)
        if tensor is None:
            return self._forward({name: shift})
        before = tensor.copy()
        tensor += shift
        terms = self._forward({})
        tensor[:] = before
        return terms

    def _forward(self, shifts: Mapping[str, np.ndarray]) -> np.ndarray:
        """The loss terms, (6,), with these shifts added on the way."""
        scratch, minibatch, config = self._scratch, self.minibatch, self._config
        features = self._tower("shared", minibatch.obs, shifts) + shifts.get(FORK, 0.0)
        for tower in ("policy", "value"):
            self._tower(tower, features, shifts)
        distribution = scratch.distribution
        distribution.forward(scratch.policy_outputs, minibatch.actions, minibatch.action_mask)
        sources = distribution.logprobs, distribution.entropies, scratch.values
        names = "logprobs", "entropies", "values"
        moved = [source + shifts.get(name, 0.0) for name, source in zip(names, sources, strict=True)]
        terms = np.zeros(len(LOSS_TERMS))
        ppo_loss_forward(
            *moved, minibatch.old_logprobs, minibatch.old_values, minibatch.advantages, minibatch.returns,
            config.clip_coef, config.ent_coef, config.vf_coef, config.clip_vloss, config.value_clip, terms,
        )  # fmt: skip
        distribution.logprobs[:], scratch.values[:] = moved[0], moved[2]
        return terms

    def _tower(self, tower: str, x: np.ndarray, shifts: Mapping[str, np.ndarray]) -> np.ndarray:
        """The last output of a tower, with shifts added to its input and to its layers before their activation."""
        h = x + shifts[f"{tower}/input"] if f"{tower}/input" in shifts else x
        for layer, output in layers_of(self.model, tower, self._scratch):
            linear_forward(h, self._tensors[f"{layer}/weight"], self._tensors[f"{layer}/bias"], output)
            output += shifts.get(layer, 0.0)
            if not layer.endswith("head"):
                activation_forward(output, self.model.activation)
            h = output
        return h

    def _present_sides(self) -> np.ndarray:
        """On which side of each kink the last forward pass was: ratios, values, and the units of a ReLU network."""
        scratch, minibatch = self._scratch, self.minibatch
        e, value_e = self._config.clip_coef, self._config.value_clip
        ratio = np.exp(scratch.distribution.logprobs - minibatch.old_logprobs)
        change = scratch.values - minibatch.old_values
        clipped = minibatch.old_values + np.clip(change, -value_e, value_e)
        flat = np.abs(clipped - minibatch.returns) > np.abs(scratch.values - minibatch.returns)
        sides = [np.digitize(ratio, [1 - e, 1 + e])]
        if self._config.clip_vloss:
            sides += [np.digitize(change, [-value_e, value_e]), flat & (np.abs(change) > value_e)]
        if self.model.activation == RELU:
            outputs = [*scratch.outputs["shared"], *scratch.outputs["policy"][:-1], *scratch.outputs["value"][:-1]]
            sides += [h.reshape(-1) > 0 for h in outputs]
        return np.concatenate(sides, dtype=np.int8, casting="unsafe")


def layers_of(model: ActorCritic, tower: str, activations: Activations) -> list[tuple[str, np.ndarray]]:
    """Name and output, (B, O), of each layer of a tower; outputs of hidden layers are those after the activation."""
    names = [name.removesuffix("/bias") for name in model.shapes if name.startswith(tower) and name.endswith("/bias")]
    return list(zip(names, activations.outputs[tower], strict=True))
