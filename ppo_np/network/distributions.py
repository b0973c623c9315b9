"""Action distributions: the kernels that turn outputs of the policy head into actions, and gradients back.

A distribution owns the preallocated arrays for B rows. Shapes: outputs, doutputs (B, K), K as `ActionHead.outputs`;
logprobs, entropies and their gradients (B,).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

from kernels.bernoulli import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample
from kernels.categorical import categorical_backward, categorical_forward, categorical_mode, categorical_sample
from kernels.gaussian import gaussian_backward, gaussian_forward, gaussian_sample
from ppo_np.distributed.ranks import OwnRows

Array = np.ndarray
Rng = np.random.Generator | OwnRows


class Distribution:
    """What the four distributions have in common.

    Args:
        sizes: outputs for each component of the action, as `ActionHead.sizes`. rows: B. dtype: of the network.

    Attributes:
        actions: (B, A), of the last `sample` or `mode`; (B,) for Categorical.
        logprobs, entropies: (B,), of the last `forward`; `sample` sets the logprobs only.
        output_name: name of the policy head's outputs.
        has_log_std: whether the constructor takes log_std and dlog_std too.
        action_dtype: dtype of the actions; None for that of the network.
    """

    output_name = "logits"
    has_log_std = False
    action_dtype: DTypeLike | None = np.int64

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        self.actions: Array = np.zeros((rows, len(sizes)), self.action_dtype or dtype)
        self.logprobs = np.zeros(rows, dtype)
        self.entropies = np.zeros(rows, dtype)

    def sample(self, outputs: Array, rng: Rng) -> None:
        """Draw `actions` and set their `logprobs`."""
        raise NotImplementedError

    def mode(self, outputs: Array) -> None:
        """Set `actions` to the most probable ones."""
        raise NotImplementedError

    def forward(self, outputs: Array, actions: Array) -> None:
        """Set `logprobs` and `entropies` of the given actions."""
        raise NotImplementedError

    def backward(self, dlogprobs: Array, dentropies: Array, outputs: Array, actions: Array, doutputs: Array) -> None:
        """Write the gradient with respect to `outputs` into `doutputs`, after `forward` on the same arguments."""
        raise NotImplementedError


class Categorical(Distribution):
    """One choice among K actions, from K logits; an action is an integer in [0, K)."""

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        super().__init__(sizes, rows, dtype)
        self.actions = self.actions.reshape(rows)
        self.log_probs = np.zeros((rows, sizes[0]), dtype)

    def sample(self, logits: Array, rng: Rng) -> None:
        """Use one uniform number per row."""
        categorical_sample(logits, rng.random(len(logits)), self.log_probs, self.actions, self.logprobs)

    def mode(self, logits: Array) -> None:
        """Take the action with the largest logit."""
        categorical_mode(logits, self.actions)

    def forward(self, logits: Array, actions: Array) -> None:
        """Keep the log-softmax for `backward`."""
        categorical_forward(logits, actions, self.log_probs, self.logprobs, self.entropies)

    def backward(self, dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, dlogits: Array) -> None:
        """Gradient with respect to the logits, computed from the log-softmax."""
        categorical_backward(dlogprobs, dentropies, actions, self.log_probs, self.entropies, dlogits)


class MultiCategorical(Distribution):
    """S independent choices, the s-th among `sizes[s]`; an action is S integers.

    log pi(a) = sum_s log pi_s(a_s) and H = sum_s H_s, so each part computes its own gradient.
    """

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        super().__init__(sizes, rows, dtype)
        self.sizes = sizes
        self._parts = [Categorical((size,), rows, dtype) for size in sizes]
        self._logits = [np.zeros((rows, size), dtype) for size in sizes]
        self._dlogits = [np.zeros((rows, size), dtype) for size in sizes]
        self._columns = [slice(end - size, end) for size, end in zip(sizes, np.cumsum(sizes), strict=True)]

    def _split(self, logits: Array) -> Iterator[tuple[int, Categorical, Array]]:
        """For each part s: s, its distribution, and a contiguous copy of its logits."""
        for s, (part, columns, part_logits) in enumerate(zip(self._parts, self._columns, self._logits, strict=True)):
            part_logits[:] = logits[:, columns]
            yield s, part, part_logits

    def sample(self, logits: Array, rng: Rng) -> None:
        """Use S uniform numbers per row, part by part."""
        self.logprobs[:] = 0
        for s, part, part_logits in self._split(logits):
            part.sample(part_logits, rng)
            self.actions[:, s] = part.actions
            self.logprobs += part.logprobs

    def mode(self, logits: Array) -> None:
        """Take the choices with the largest logits."""
        for s, part, part_logits in self._split(logits):
            part.mode(part_logits)
            self.actions[:, s] = part.actions

    def forward(self, logits: Array, actions: Array) -> None:
        """Sum over the parts."""
        self.logprobs[:] = 0
        self.entropies[:] = 0
        for s, part, part_logits in self._split(logits):
            part.actions[:] = actions[:, s]
            part.forward(part_logits, part.actions)
            self.logprobs += part.logprobs
            self.entropies += part.entropies

    def backward(self, dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, dlogits: Array) -> None:
        """Gradient with respect to the logits, part by part."""
        for part, columns, part_dlogits in zip(self._parts, self._columns, self._dlogits, strict=True):
            part.backward(dlogprobs, dentropies, logits[:, columns], part.actions, part_dlogits)
            dlogits[:, columns] = part_dlogits


class Bernoulli(Distribution):
    """A independent bits, from A logits; an action is A zeros and ones of int8, as in Gymnasium's MultiBinary."""

    action_dtype = np.int8

    def sample(self, logits: Array, rng: Rng) -> None:
        """Use A uniform numbers per row."""
        bernoulli_sample(logits, rng.random(logits.shape), self.actions, self.logprobs)

    def mode(self, logits: Array) -> None:
        """Take 1 where the logit is positive."""
        bernoulli_mode(logits, self.actions)

    def forward(self, logits: Array, actions: Array) -> None:
        """Keep nothing for `backward`."""
        bernoulli_forward(logits, actions, self.logprobs, self.entropies)

    def backward(self, dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, dlogits: Array) -> None:
        """Gradient with respect to the logits."""
        bernoulli_backward(dlogprobs, dentropies, logits, actions, dlogits)


class Gaussian(Distribution):
    """A real numbers, from A means; their standard deviations do not depend on the observation.

    Args:
        sizes, rows, dtype: as for the others.
        log_std, dlog_std: (A,), views into the flat parameters and gradients.
    """

    output_name = "means"
    has_log_std = True
    action_dtype = None

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike, log_std: Array, dlog_std: Array):
        super().__init__(sizes, rows, dtype)
        self.log_std, self.dlog_std = log_std, dlog_std

    def sample(self, means: Array, rng: Rng) -> None:
        """Use A normal numbers per row."""
        gaussian_sample(means, self.log_std, rng.standard_normal(means.shape), self.actions, self.logprobs)

    def mode(self, means: Array) -> None:
        """Take the means."""
        self.actions[:] = means

    def forward(self, means: Array, actions: Array) -> None:
        """Keep nothing for `backward`."""
        gaussian_forward(means, self.log_std, actions, self.logprobs, self.entropies)

    def backward(self, dlogprobs: Array, dentropies: Array, means: Array, actions: Array, dmeans: Array) -> None:
        """Gradient with respect to the means, and with respect to log_std into `dlog_std`."""
        gaussian_backward(dlogprobs, dentropies, means, self.log_std, actions, dmeans, self.dlog_std)
