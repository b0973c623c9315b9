"""Gymnasium spaces and what the network sees of them: flat observations in, actions out."""

import numpy as np
from gymnasium import spaces

from ppo_np.errors import UserError, check


class ObservationAdapter:
    """Turns batches of observations into rows of D numbers.

    Box of any shape is flattened; Discrete(n) becomes a one-hot row of n.

    Args:
        space: observation space of a single environment.

    Attributes:
        size: D, the length of a flat observation.

    Raises:
        UserError: The space is neither Box nor Discrete, or it is empty.
    """

    def __init__(self, space: spaces.Space):
        if not isinstance(space, spaces.Box | spaces.Discrete):
            raise UserError(f"The observation space is {space}, but it must be Box or Discrete.")
        self.space = space
        self.size = spaces.flatdim(space)
        check(self.size >= 1, "The observation space", space, "of at least one number")

    def flatten(self, observations: np.ndarray, rows: np.ndarray) -> None:
        """Write a batch of observations, (B, ...), into `rows`, (B, D)."""
        if isinstance(self.space, spaces.Box):
            rows[:] = np.reshape(observations, rows.shape)
        else:
            rows[:] = 0
            rows[np.arange(len(rows)), np.asarray(observations) - self.space.start] = 1


class ActionAdapter:
    """Turns the policy's actions, which count from 0, into the environment's.

    Args:
        space: action space of a single environment.

    Attributes:
        size: K, the number of actions, and of outputs of the policy head.

    Raises:
        UserError: The space is not Discrete.
    """

    def __init__(self, space: spaces.Space):
        if not isinstance(space, spaces.Discrete):
            raise UserError(f"The action space is {space}, but it must be Discrete.")
        self.start = space.start
        self.size = int(space.n)

    def to_env(self, actions: np.ndarray) -> np.ndarray:
        """The environment's actions, (B,), for the policy's, (B,)."""
        return actions + self.start if self.start else actions
