"""A minibatch: the rows of a rollout that one step of gradient descent uses. The workspace is in `activations`."""

import numpy as np


class Minibatch:
    """B rows of a rollout.

    Args:
        obs: (B, D), input of the network.
        actions: (B, ...), as drawn.
        loss_inputs: (4, B), what the loss needs beside the network's outputs.
        total: rows of the minibatch on all ranks, of which these are a part; None if these are all of them.

    Attributes:
        rows: B.
        old_logprobs, old_values, advantages, returns: (B,), the rows of `loss_inputs`.
    """

    def __init__(self, obs: np.ndarray, actions: np.ndarray, loss_inputs: np.ndarray, total: int | None = None):
        self.obs, self.actions, self.loss_inputs = obs, actions, loss_inputs
        self.rows = len(obs)
        self.total = self.rows if total is None else total
        self.old_logprobs, self.old_values, self.advantages, self.returns = loss_inputs

    def part(self, start: int, rows: int) -> "Minibatch":
        """Some neighbouring rows as a minibatch of their own, in the same memory."""
        part = slice(start, start + rows)
        return Minibatch(self.obs[part], self.actions[part], self.loss_inputs[:, part])
