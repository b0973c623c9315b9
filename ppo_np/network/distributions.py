"""Action distributions: which kernels turn the policy head's outputs into actions, and gradients back.

A distribution owns the preallocated arrays for B rows; the model makes one for each B that it needs. All four have the
same methods:

    sample(outputs, rng)         draw `actions` and set their `logprobs`
    mode(outputs)                set `actions` to the most probable ones
    forward(outputs, actions)    set `logprobs` and `entropies` of the given actions
    backward(dlogprobs, dentropies, outputs, actions, doutputs)
                                 write `doutputs` (and the gradient of log_std), after `forward` on the same arguments

Shapes: outputs, doutputs (B, K), K as `ActionHead.outputs`; logprobs, entropies and their gradients (B,).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from kernels.bernoulli import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample
from kernels.categorical import categorical_backward, categorical_forward, categorical_mode, categorical_sample
from kernels.gaussian import gaussian_backward, gaussian_forward, gaussian_sample

Array = np.ndarray


class Distribution:
    """What the four distributions have in common.

    Attributes:
        actions: (B,) + `action_shape`, of the last `sample` or `mode`.
        logprobs, entropies: (B,), of the last `sample` (log-probabilities only) or `forward`.
        output_name: what the outputs of the policy head are.
        has_log_std: whether the constructor takes two more arguments, views into the flat parameters and gradients.
    """

    output_name = "logits"
    has_log_std = False

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        self.actions = np.zeros((rows, *self.action_shape(sizes)), self.action_dtype(dtype))
        self.logprobs, self.entropies = np.zeros((2, rows), dtype)

    @staticmethod
    def action_shape(sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one action."""
        return (len(sizes),)

    @staticmethod
    def action_dtype(dtype: DTypeLike) -> DTypeLike:
        """Type of an action, given the network's."""
        return np.int64

    def sample(self, outputs: Array, rng: Any) -> None:
        """Draw `actions` and set their `logprobs`; `rng` is a numpy Generator, or draws as one does."""
        raise NotImplementedError

    def mode(self, outputs: Array) -> None:
        """Set `actions` to the most probable ones."""
        raise NotImplementedError

    def forward(self, outputs: Array, actions: Array) -> None:
        """Set `logprobs` and `entropies` of the given actions."""
        raise NotImplementedError

    def backward(self, dlogprobs: Array, dentropies: Array, outputs: Array, actions: Array, doutputs: Array) -> None:
        """Write the gradient with respect to `outputs`, after `forward` on the same arguments."""
        raise NotImplementedError


class Categorical(Distribution):
    """One choice among K actions a row, from K logits; an action is an integer in [0, K)."""

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        super().__init__(sizes, rows, dtype)
        self.log_probs = np.zeros((rows, sizes[0]), dtype)

    @staticmethod
    def action_shape(sizes: tuple[int, ...]) -> tuple[int, ...]:
        """A single number."""
        return ()

    def sample(self, logits: Array, rng: Any) -> None:
        """Use one uniform number a row."""
        categorical_sample(logits, rng.random(len(logits)), self.log_probs, self.actions, self.logprobs)

    def mode(self, logits: Array) -> None:
        """Take the action with the largest logit."""
        categorical_mode(logits, self.actions)

    def forward(self, logits: Array, actions: Array) -> None:
        """Keep the log-softmax for `backward`."""
        categorical_forward(logits, actions, self.log_probs, self.logprobs, self.entropies)

    def backward(self, dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, dlogits: Array) -> None:
        """Gradient with respect to the logits, whose values are not needed again."""
        categorical_backward(dlogprobs, dentropies, actions, self.log_probs, self.entropies, dlogits)


class MultiCategorical(Distribution):
    """S independent choices a row, the s-th among `sizes[s]`; an action is S integers.

    log pi(a) = sum_s log pi_s(a_s) and H = sum_s H_s, so that each part's gradient is the part's own.
    """

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        super().__init__(sizes, rows, dtype)
        self._parts = [Categorical((size,), rows, dtype) for size in sizes]
        self._logits = [np.zeros((rows, size), dtype) for size in sizes]
        self._dlogits = [np.zeros((rows, size), dtype) for size in sizes]
        ends = np.cumsum(sizes)
        self._columns = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]

    def _split(self, logits: Array) -> Iterator[tuple[Categorical, Array]]:
        """The parts with their logits, copied so that each lies in one piece."""
        for part, columns, own in zip(self._parts, self._columns, self._logits, strict=True):
            own[:] = logits[:, columns]
            yield part, own

    def sample(self, logits: Array, rng: Any) -> None:
        """Use S uniform numbers a row, part by part."""
        self.logprobs[:] = 0
        for s, (part, own) in enumerate(self._split(logits)):
            part.sample(own, rng)
            self.actions[:, s] = part.actions
            self.logprobs += part.logprobs

    def mode(self, logits: Array) -> None:
        """Take the choices with the largest logits."""
        for s, (part, own) in enumerate(self._split(logits)):
            part.mode(own)
            self.actions[:, s] = part.actions

    def forward(self, logits: Array, actions: Array) -> None:
        """Sum over the parts."""
        self.logprobs[:] = self.entropies[:] = 0
        for s, (part, own) in enumerate(self._split(logits)):
            part.actions[:] = actions[:, s]
            part.forward(own, part.actions)
            self.logprobs += part.logprobs
            self.entropies += part.entropies

    def backward(self, dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, dlogits: Array) -> None:
        """Gradient with respect to the logits, part by part."""
        for part, columns, own in zip(self._parts, self._columns, self._dlogits, strict=True):
            part.backward(dlogprobs, dentropies, own, part.actions, own)
            dlogits[:, columns] = own


class Bernoulli(Distribution):
    """A independent bits a row, from A logits; an action is A zeros and ones."""

    @staticmethod
    def action_dtype(dtype: DTypeLike) -> DTypeLike:
        """As Gymnasium's MultiBinary."""
        return np.int8

    def sample(self, logits: Array, rng: Any) -> None:
        """Use A uniform numbers a row."""
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
    """A real numbers a row, from A means; their standard deviations do not depend on the observation.

    Args:
        sizes, rows, dtype: as for the others.
        log_std, dlog_std: (A,), views into the flat parameters and gradients.
    """

    output_name = "means"
    has_log_std = True

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike, log_std: Array, dlog_std: Array):
        super().__init__(sizes, rows, dtype)
        self.log_std, self.dlog_std = log_std, dlog_std

    @staticmethod
    def action_dtype(dtype: DTypeLike) -> DTypeLike:
        """As the network."""
        return dtype

    def sample(self, means: Array, rng: Any) -> None:
        """Use A normal numbers a row."""
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
