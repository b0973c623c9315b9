"""Arrays for a minibatch, and for its way through the network and back."""

from typing import TYPE_CHECKING

import numpy as np

from kernels.loss import LOSS_TERMS

if TYPE_CHECKING:
    from ppo_np.model import ActorCritic


class Minibatch:
    """Preallocated arrays for the B rows that a loss is computed on.

    Attributes:
        obs: (B, D), input of the network.
        actions: (B, ...), old_logprobs, old_values, advantages, returns: (B,), what the loss needs beside the network;
            the latter four are the rows of `loss_inputs`, (4, B).
        terms: (6,), the numbers that `kernels.LOSS_TERMS` names.
    """

    def __init__(self, rows: int, model: "ActorCritic"):
        self.rows = rows
        self.obs = np.zeros((rows, model.obs_size), model.dtype)
        self.actions = model.actions(rows)
        self.loss_inputs = np.zeros((4, rows), model.dtype)
        self.old_logprobs, self.old_values, self.advantages, self.returns = self.loss_inputs
        self.terms = np.zeros(len(LOSS_TERMS), np.float64)

    def copy_rows(self, other: "Minibatch", start: int) -> None:
        """Copy as many rows as there are here from another minibatch, from its row `start` on."""
        rows = slice(start, start + self.rows)
        self.obs[:], self.actions[:] = other.obs[rows], other.actions[rows]
        self.loss_inputs[:] = other.loss_inputs[:, rows]


class Batch(Minibatch):
    """A minibatch with arrays for its way through the network, and for the loss gradients on their way back.

    Attributes:
        pi_out: (B, K) and values: (B,), outputs of the forward pass.
        distribution: over the actions; `ActorCritic.loss` sets it, or its own `sample` and `mode`.
        grads: (P,), where the gradient goes: the model's own, unless another vector is given.
    """

    def __init__(self, rows: int, model: "ActorCritic", grads: np.ndarray | None = None):
        super().__init__(rows, model)
        dtype = model.dtype

        def columns(*widths):
            return tuple(np.zeros((rows, width), dtype) for width in widths)

        self.grads = model.grads if grads is None else grads
        self.grad_towers = model.grad_towers if grads is None else model.towers(grads)
        self.outputs = {tower: columns(*widths) for tower, widths in model.sizes.items()}
        self.doutputs = {tower: columns(*widths) for tower, widths in model.sizes.items()}
        self.features = self.outputs["shared"][-1] if model.sizes["shared"] else self.obs
        self.pi_out, self.dpi_out = self.outputs["policy"][-1], self.doutputs["policy"][-1]
        self.values, self.dvalues = self.outputs["value"][-1].reshape(rows), self.doutputs["value"][-1].reshape(rows)
        self.dlogprobs, self.dentropies = np.zeros((2, rows), dtype)
        (self.dfeatures,) = columns(self.features.shape[1])
        self.distribution = model.distribution(rows, self.grads)
