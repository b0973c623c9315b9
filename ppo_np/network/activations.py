"""Workspace for B rows on their way through the network: what the layers put out, and the gradients on the way back."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from kernels.loss import LOSS_TERMS
from ppo_np.network.distributions import Distribution

Sizes = Mapping[str, tuple[int, ...]]
Layers = Mapping[str, tuple[np.ndarray, ...]]


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
        larger: workspace of at least as many rows, whose first rows are used instead of new arrays.

    Attributes:
        outputs, doutputs: for each tower an array (B, O) a layer: outputs, and gradients with respect to them.
        policy_outputs: (B, K) and values: (B,), outputs of the network; dpolicy_outputs, dvalues: their gradients.
        dlogprobs, dentropies: (B,), gradients with respect to the distribution's outputs.
        dfeatures: (B, O), the part of the trunk's gradient that comes from the value tower.
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
        self.rows, self.distribution, self.grad_towers = rows, distribution, grad_towers
        self.outputs: Layers = _layers(rows, sizes, dtype, larger.outputs if larger else None)
        self.doutputs: Layers = _layers(rows, sizes, dtype, larger.doutputs if larger else None)
        self.policy_outputs, self.dpolicy_outputs = self.outputs["policy"][-1], self.doutputs["policy"][-1]
        self.values, self.dvalues = self.outputs["value"][-1].reshape(rows), self.doutputs["value"][-1].reshape(rows)
        self.dlogprobs: np.ndarray = np.zeros(rows, dtype)
        self.dentropies: np.ndarray = np.zeros(rows, dtype)
        width = sizes["shared"][-1] if sizes["shared"] else 0
        self.dfeatures: np.ndarray = larger.dfeatures[:rows] if larger else np.zeros((rows, width), dtype)
        self.loss_terms = np.zeros(len(LOSS_TERMS), np.float64)


def _layers(rows: int, sizes: Sizes, dtype: DTypeLike, larger: Layers | None) -> Layers:
    """An array (B, O) for each layer of each tower: new ones, or the first rows of larger ones."""
    if larger:
        return {tower: tuple(array[:rows] for array in arrays) for tower, arrays in larger.items()}
    return {tower: tuple(np.zeros((rows, width), dtype) for width in widths) for tower, widths in sizes.items()}
