"""Workspace of a forward and a backward pass: outputs of the layers, and gradients with respect to them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from kernels.loss import LOSS_TERMS
from ppo_np.network.distributions import Distribution

Sizes = Mapping[str, tuple[int, ...]]
Layers = dict[str, tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Tower:
    """A stack of layers as views into a flat vector: of the parameters, or of their gradient."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]


class Activations:
    """Preallocated arrays of one forward and backward pass.

    Args:
        rows: B. sizes: of the layers of each tower, as `ActorCritic.sizes`. dtype: of the network.
        distribution: over the actions of B rows.
        grad_towers: for each tower, where the backward pass writes the gradient with respect to its parameters.
        larger: workspace with at least B rows; its first B rows are used instead of new arrays.

    Attributes:
        outputs, doutputs: for each tower an array (B, O) per layer: outputs, and gradients with respect to them.
        policy_outputs, values: (B, K) and (B,), outputs of the network; dpolicy_outputs, dvalues: their gradients.
        dlogprobs, dentropies: (B,), gradients with respect to the distribution's outputs.
        dfeatures: (B, O), the value tower's part of the gradient with respect to the trunk's output.
        scratch: room for the hidden layers in `ActorCritic.act`; `ActorCritic.scratch` makes it longer if it must be.
        loss_terms: (6,), the numbers that `LOSS_TERMS` names.
    """

    def __init__(
        self,
        rows: int,
        sizes: Sizes,
        distribution: Distribution,
        grad_towers: Mapping[str, Tower],
        dtype: DTypeLike,
        larger: "Activations | None" = None,
    ):
        self.rows = rows
        self.distribution = distribution
        self.grad_towers = grad_towers
        self.outputs: Layers = _layers(rows, sizes, dtype, larger.outputs if larger else None)
        self.doutputs: Layers = _layers(rows, sizes, dtype, larger.doutputs if larger else None)
        self.policy_outputs, self.dpolicy_outputs = self.outputs["policy"][-1], self.doutputs["policy"][-1]
        self.values, self.dvalues = self.outputs["value"][-1].reshape(rows), self.doutputs["value"][-1].reshape(rows)
        self.dlogprobs = np.zeros(rows, dtype)
        self.dentropies = np.zeros(rows, dtype)
        width = sizes["shared"][-1] if sizes["shared"] else 0
        self.dfeatures: np.ndarray = larger.dfeatures[:rows] if larger else np.zeros((rows, width), dtype)
        self.scratch = np.zeros(0, dtype)
        self.loss_terms = np.zeros(len(LOSS_TERMS))


def _layers(rows: int, sizes: Sizes, dtype: DTypeLike, larger: Layers | None) -> Layers:
    """An array (B, O) for each layer of each tower: a new one, or the first B rows of a larger one."""
    if larger:
        return {tower: tuple(array[:rows] for array in arrays) for tower, arrays in larger.items()}
    return {tower: tuple(np.zeros((rows, width), dtype) for width in widths) for tower, widths in sizes.items()}
