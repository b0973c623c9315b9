"""A minibatch: the rows of a rollout that one step of gradient descent uses."""

import numpy as np


class Minibatch:
    """B rows of a rollout.

    Args:
        obs: (B, D), input of the network.
        actions: (B, ...).
        loss_inputs: (4, B): old_logprobs, old_values, advantages and returns.
        total: rows of the minibatch on all ranks; None if this rank has all of them.
        action_mask: (B, K) int8, 1 where an action is valid; None if all are.

    Attributes:
        rows: B.
        old_logprobs, old_values, advantages, returns: (B,), the rows of `loss_inputs`.
    """

    def __init__(
        self, obs: np.ndarray, actions: np.ndarray, loss_inputs: np.ndarray, total: int | None = None,
        action_mask: np.ndarray | None = None,
    ):  # fmt: skip
        self.obs, self.actions, self.loss_inputs, self.action_mask = obs, actions, loss_inputs, action_mask
        self.rows = len(obs)
        self.total = self.rows if total is None else total
        self.old_logprobs, self.old_values, self.advantages, self.returns = loss_inputs

    def part(self, start: int, rows: int) -> "Minibatch":
        """Rows start to start + rows as a minibatch, in the same memory."""
        part = slice(start, start + rows)
        mask = None if self.action_mask is None else self.action_mask[part]
        return Minibatch(self.obs[part], self.actions[part], self.loss_inputs[:, part], action_mask=mask)
