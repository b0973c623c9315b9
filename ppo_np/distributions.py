"""Action distributions: which kernels turn the policy head's outputs into actions, and gradients back.

A distribution owns the preallocated arrays of one batch size; the model makes one for each batch size it needs.
"""

import numpy as np

from kernels.categorical import categorical_backward, categorical_forward, categorical_mode, categorical_sample


class Categorical:
    """One choice among K actions a row, from K logits.

    Args:
        num_actions: K >= 1.
        batch: B >= 1, rows.
        dtype: float32 or float64.

    Attributes:
        actions: (B,) int64, of the last `sample` or `mode`.
        logprobs, entropies: (B,), of the last `sample` (log-probabilities only) or `forward`.
    """

    def __init__(self, num_actions: int, batch: int, dtype):
        self.log_probs = np.zeros((batch, num_actions), dtype)
        self.actions = np.zeros(batch, np.int64)
        self.logprobs = np.zeros(batch, dtype)
        self.entropies = np.zeros(batch, dtype)

    def sample(self, logits: np.ndarray, rng: np.random.Generator) -> None:
        """Draw `actions` and their `logprobs`, one uniform number a row from `rng`."""
        categorical_sample(logits, rng.random(len(logits)), self.log_probs, self.actions, self.logprobs)

    def mode(self, logits: np.ndarray) -> None:
        """Set `actions` to the most probable ones."""
        categorical_mode(logits, self.actions)

    def forward(self, logits: np.ndarray, actions: np.ndarray) -> None:
        """Set `logprobs` and `entropies` for the given actions, (B,) int64."""
        categorical_forward(logits, actions, self.log_probs, self.logprobs, self.entropies)

    def backward(self, dlogprobs, dentropies, actions, dlogits) -> None:
        """Write `dlogits` (B, K) from the gradients (B,) by log-probability and entropy, after `forward`."""
        categorical_backward(dlogprobs, dentropies, actions, self.log_probs, self.entropies, dlogits)
