"""The optimiser: clips the gradient, turns it into a change of the parameters, and keeps state between steps."""

import numpy as np

from kernels.optimizer import adam, clip_by_global_norm, global_norm
from ppo_np.config import PPOConfig


class Adam:
    """Adam (Kingma and Ba 2015) over flat vectors.

    Args:
        params: (P,), changed in place by `step`.
        grads: (P,), the gradient, as the backward pass leaves it.
        config: gives beta1, beta2 and epsilon.
        value_start: index of the first parameter that only the value has; P if there is none.

    Attributes:
        params, grads: as given.
        constants: beta1, beta2 and epsilon.
        m, v: (P,), first and second moment of the gradient.
        steps: steps taken.
    """

    name = "adam"

    def __init__(self, params: np.ndarray, grads: np.ndarray, config: PPOConfig, value_start: int | None = None):
        self.params, self.grads = params, grads
        self.value_start = params.size if value_start is None else value_start
        self.constants = config.adam_beta1, config.adam_beta2, config.adam_eps
        self.m, self.v = np.zeros_like(params), np.zeros_like(params)
        self.steps = 0

    def step(self, learning_rate: float, value_learning_rate: float | None = None) -> None:
        """Move the parameters by one step against the gradient.

        Args:
            learning_rate: of all parameters, or of those before `value_start`.
            value_learning_rate: of the others; None = learning_rate.
        """
        self.steps += 1
        flats = self.params, self.grads, self.m, self.v
        if value_learning_rate is None:
            adam(*flats, self.steps, learning_rate, *self.constants)
            return
        k = self.value_start
        adam(*(flat[:k] for flat in flats), self.steps, learning_rate, *self.constants)
        adam(*(flat[k:] for flat in flats), self.steps, value_learning_rate, *self.constants)

    def arrays(self) -> dict[str, np.ndarray]:
        """The state by name, (P,) each, for a checkpoint."""
        return {"m": self.m, "v": self.v}


def clip_parts(grads: np.ndarray, value_start: int, config: PPOConfig) -> dict[str, tuple[np.ndarray, float]]:
    """The parts of a gradient that are clipped by a norm of their own, by name, and the largest norm of each.

    Args:
        grads: (P,). value_start: index of the first parameter that only the value has.
        config: gives max_grad_norm, and max_grad_norm_value; if that is None, the whole gradient is one part.
    """
    if config.max_grad_norm_value is None:
        return {"": (grads, config.max_grad_norm)}
    others, value = grads[:value_start], grads[value_start:]
    return {"others": (others, config.max_grad_norm), "value only": (value, config.max_grad_norm_value)}


def clip_gradient(grads: np.ndarray, norm: float, value_start: int, config: PPOConfig) -> None:
    """Clip a gradient, (P,), in place: each of its `clip_parts` by its norm. `norm` is that of the whole gradient."""
    if config.max_grad_norm_value is None:
        clip_by_global_norm(grads, norm, config.max_grad_norm)
        return
    for part, max_norm in clip_parts(grads, value_start, config).values():
        clip_by_global_norm(part, global_norm(part), max_norm)


Optimizer = Adam  # the one that training uses
