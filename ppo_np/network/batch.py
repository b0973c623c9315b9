"""Arrays for a minibatch, and for its way through the network and back.

Those of a smaller one can be rows of a larger one's: then little memory is taken, and one of them is used at a time.
"""

from typing import TYPE_CHECKING

import numpy as np

from kernels.loss import LOSS_TERMS

if TYPE_CHECKING:
    from ppo_np.network.model import ActorCritic


class Minibatch:
    """Preallocated arrays for the B rows that a loss is computed on; with `larger`, its rows from `start` on.

    Attributes:
        obs: (B, D), input of the network.
        actions: (B, ...), old_logprobs, old_values, advantages, returns: (B,), what the loss needs beside the network;
            the latter four are the rows of `loss_inputs`, (4, B).
        total: rows of the whole minibatch, of which other ranks may have some.
        terms: (6,), the numbers that `kernels.LOSS_TERMS` names.
    """

    def __init__(self, rows: int, model: "ActorCritic", larger: "Minibatch | None" = None, start: int = 0):
        self.rows = self.total = rows
        own = slice(start, start + rows)
        self.obs = larger.obs[own] if larger else np.zeros((rows, model.obs_size), model.dtype)
        self.actions = larger.actions[own] if larger else model.actions(rows)
        self.loss_inputs = larger.loss_inputs[:, own] if larger else np.zeros((4, rows), model.dtype)
        self.old_logprobs, self.old_values, self.advantages, self.returns = self.loss_inputs
        self.terms = np.zeros(len(LOSS_TERMS), np.float64)


class Batch(Minibatch):
    """A minibatch with arrays for its way through the network, and for the loss gradients on their way back.

    Attributes:
        pi_out: (B, K) and values: (B,), outputs of the forward pass.
        distribution: over the actions; `ActorCritic.loss` sets it, or its own `sample` and `mode`.
        grads: (P,), where the gradient goes: the model's own, unless another vector is given.

    Args:
        rows, model, grads: as above.
        larger: whose first rows are taken instead of new arrays.
        inputs: a minibatch and the first of its rows that are the inputs, instead of those of `larger`.
    """

    def __init__(
        self,
        rows: int,
        model: "ActorCritic",
        grads: np.ndarray | None = None,
        larger: "Batch | None" = None,
        inputs: tuple[Minibatch, int] | None = None,
    ):
        super().__init__(rows, model, *(inputs or (larger,)))
        self.grads = model.grads if grads is None else grads
        self.grad_towers = model.grad_towers if grads is None else model.towers(grads)
        self.outputs = _columns(rows, model, larger and larger.outputs)
        self.doutputs = _columns(rows, model, larger and larger.doutputs)
        self.features = self.outputs["shared"][-1] if model.sizes["shared"] else self.obs
        self.pi_out, self.dpi_out = self.outputs["policy"][-1], self.doutputs["policy"][-1]
        self.values, self.dvalues = self.outputs["value"][-1].reshape(rows), self.doutputs["value"][-1].reshape(rows)
        self.dlogprobs, self.dentropies = np.zeros((2, rows), model.dtype)
        self.dfeatures = larger.dfeatures[:rows] if larger else np.zeros_like(self.features)
        self.distribution = model.distribution(rows, self.grads)


def _columns(
    rows: int, model: "ActorCritic", larger: dict[str, tuple[np.ndarray, ...]] | None
) -> dict[str, tuple[np.ndarray, ...]]:
    """An array (B, O) for each layer of each tower, new ones or the first rows of larger ones."""
    if larger:
        return {tower: tuple(array[:rows] for array in arrays) for tower, arrays in larger.items()}
    return {
        tower: tuple(np.zeros((rows, width), model.dtype) for width in widths) for tower, widths in model.sizes.items()
    }
