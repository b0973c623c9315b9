"""The optimiser: turns the gradient into a change of the parameters, and keeps state between steps."""

import numpy as np

from kernels.optimizer import adam
from ppo_np.config import PPOConfig


class Adam:
    """Adam (Kingma and Ba 2015) over flat vectors.

    Args:
        params: (P,), changed in place by `step`.
        grads: (P,), the gradient, as the backward pass leaves it.
        config: gives beta1, beta2 and epsilon.

    Attributes:
        params, grads: as given.
        m, v: (P,), first and second moment of the gradient.
        steps: steps taken.
    """

    name = "adam"

    def __init__(self, params: np.ndarray, grads: np.ndarray, config: PPOConfig):
        self.params, self.grads = params, grads
        self._constants = config.adam_beta1, config.adam_beta2, config.adam_eps
        self.m, self.v = np.zeros_like(params), np.zeros_like(params)
        self.steps = 0

    def step(self, learning_rate: float) -> None:
        """Move the parameters by one step against the gradient."""
        self.steps += 1
        adam(self.params, self.grads, self.m, self.v, self.steps, learning_rate, *self._constants)

    def arrays(self) -> dict[str, np.ndarray]:
        """The state by name, (P,) each, for a checkpoint."""
        return {"m": self.m, "v": self.v}


Optimizer = Adam  # the one that training uses
