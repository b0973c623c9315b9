"""Action distributions: which kernels turn the policy head's outputs into actions, and gradients back.

A distribution owns the preallocated arrays of one batch size; the model makes one for each batch size it needs. All
four have the same methods:

    sample(outputs, rng)         draw `actions` and set their `logprobs`
    mode(outputs)                set `actions` to the most probable ones
    forward(outputs, actions)    set `logprobs` and `entropies` of the given actions
    backward(dlogprobs, dentropies, outputs, actions, doutputs)
                                 write `doutputs` (and the gradient of log_std), after `forward` on the same arguments

Shapes: outputs, doutputs (B, K), K as `ActionHead.outputs`; logprobs, entropies and their gradients (B,).
"""

from dataclasses import dataclass

import numpy as np

from kernels.bernoulli import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample
from kernels.categorical import categorical_backward, categorical_forward, categorical_mode, categorical_sample
from kernels.gaussian import gaussian_backward, gaussian_forward, gaussian_sample


class Distribution:
    """What the four distributions have in common.

    Attributes:
        actions: (B,) + `action_shape`, of the last `sample` or `mode`.
        logprobs, entropies: (B,), of the last `sample` (log-probabilities only) or `forward`.
        output_name: what the outputs of the policy head are.
    """

    output_name = "logits"

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype):
        self.actions = np.zeros((rows, *self.action_shape(sizes)), self.action_dtype(dtype))
        self.logprobs, self.entropies = np.zeros((2, rows), dtype)

    @staticmethod
    def action_shape(sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one action."""
        return (len(sizes),)

    @staticmethod
    def action_dtype(dtype):
        """Type of an action, given the network's."""
        return np.int64


class Categorical(Distribution):
    """One choice among K actions a row, from K logits; an action is an integer in [0, K)."""

    def __init__(self, sizes, rows, dtype):
        super().__init__(sizes, rows, dtype)
        self.log_probs = np.zeros((rows, sizes[0]), dtype)

    @staticmethod
    def action_shape(sizes):
        """A single number."""
        return ()

    def sample(self, logits: np.ndarray, rng: np.random.Generator) -> None:
        """Uses one uniform number a row."""
        categorical_sample(logits, rng.random(len(logits)), self.log_probs, self.actions, self.logprobs)

    def mode(self, logits: np.ndarray) -> None:
        """The action with the largest logit."""
        categorical_mode(logits, self.actions)

    def forward(self, logits: np.ndarray, actions: np.ndarray) -> None:
        """Keeps the log-softmax for `backward`."""
        categorical_forward(logits, actions, self.log_probs, self.logprobs, self.entropies)

    def backward(self, dlogprobs, dentropies, logits, actions, dlogits) -> None:
        """By the logits, which need not be looked at again."""
        categorical_backward(dlogprobs, dentropies, actions, self.log_probs, self.entropies, dlogits)


class MultiCategorical(Distribution):
    """S independent choices a row, the s-th among `sizes[s]`; an action is S integers.

    log pi(a) = sum_s log pi_s(a_s) and H = sum_s H_s, so that each part's gradient is the part's own.
    """

    def __init__(self, sizes, rows, dtype):
        super().__init__(sizes, rows, dtype)
        self._parts = [Categorical((size,), rows, dtype) for size in sizes]
        self._logits = [np.zeros((rows, size), dtype) for size in sizes]
        self._dlogits = [np.zeros((rows, size), dtype) for size in sizes]
        ends = np.cumsum(sizes)
        self._columns = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]

    def _split(self, logits):
        """The parts with their logits, copied so that each lies in one piece."""
        for part, columns, own in zip(self._parts, self._columns, self._logits, strict=True):
            own[:] = logits[:, columns]
            yield part, own

    def sample(self, logits: np.ndarray, rng: np.random.Generator) -> None:
        """Uses S uniform numbers a row, part by part."""
        self.logprobs[:] = 0
        for s, (part, own) in enumerate(self._split(logits)):
            part.sample(own, rng)
            self.actions[:, s] = part.actions
            self.logprobs += part.logprobs

    def mode(self, logits: np.ndarray) -> None:
        """The choices with the largest logits."""
        for s, (part, own) in enumerate(self._split(logits)):
            part.mode(own)
            self.actions[:, s] = part.actions

    def forward(self, logits: np.ndarray, actions: np.ndarray) -> None:
        """Sums over the parts."""
        self.logprobs[:] = self.entropies[:] = 0
        for s, (part, own) in enumerate(self._split(logits)):
            part.actions[:] = actions[:, s]
            part.forward(own, part.actions)
            self.logprobs += part.logprobs
            self.entropies += part.entropies

    def backward(self, dlogprobs, dentropies, logits, actions, dlogits) -> None:
        """By the logits, part by part."""
        for part, columns, own in zip(self._parts, self._columns, self._dlogits, strict=True):
            part.backward(dlogprobs, dentropies, None, part.actions, own)
            dlogits[:, columns] = own


class Bernoulli(Distribution):
    """A independent bits a row, from A logits; an action is A zeros and ones."""

    @staticmethod
    def action_dtype(dtype):
        """As Gymnasium's MultiBinary."""
        return np.int8

    def sample(self, logits: np.ndarray, rng: np.random.Generator) -> None:
        """Uses A uniform numbers a row."""
        bernoulli_sample(logits, rng.random(logits.shape), self.actions, self.logprobs)

    def mode(self, logits: np.ndarray) -> None:
        """One where the logit is positive."""
        bernoulli_mode(logits, self.actions)

    def forward(self, logits: np.ndarray, actions: np.ndarray) -> None:
        """Nothing is kept for `backward`."""
        bernoulli_forward(logits, actions, self.logprobs, self.entropies)

    def backward(self, dlogprobs, dentropies, logits, actions, dlogits) -> None:
        """By the logits."""
        bernoulli_backward(dlogprobs, dentropies, logits, actions, dlogits)


class Gaussian(Distribution):
    """A real numbers a row, from A means; their standard deviations do not depend on the observation.

    Args:
        sizes, rows, dtype: as for the others.
        log_std, dlog_std: (A,), views into the flat parameters and gradients.
    """

    output_name = "means"

    def __init__(self, sizes, rows, dtype, log_std: np.ndarray, dlog_std: np.ndarray):
        super().__init__(sizes, rows, dtype)
        self.log_std, self.dlog_std = log_std, dlog_std

    @staticmethod
    def action_dtype(dtype):
        """As the network."""
        return dtype

    def sample(self, means: np.ndarray, rng: np.random.Generator) -> None:
        """Uses A normal numbers a row."""
        gaussian_sample(means, self.log_std, rng.standard_normal(means.shape), self.actions, self.logprobs)

    def mode(self, means: np.ndarray) -> None:
        """The means."""
        self.actions[:] = means

    def forward(self, means: np.ndarray, actions: np.ndarray) -> None:
        """Nothing is kept for `backward`."""
        gaussian_forward(means, self.log_std, actions, self.logprobs, self.entropies)

    def backward(self, dlogprobs, dentropies, means, actions, dmeans) -> None:
        """By the means, and by log_std into `dlog_std`."""
        gaussian_backward(dlogprobs, dentropies, means, self.log_std, actions, dmeans, self.dlog_std)


def discrete(num_actions: int) -> "ActionHead":
    """The head for one choice among K actions."""
    return ActionHead(Categorical, (num_actions,))


@dataclass(frozen=True)
class ActionHead:
    """Which distribution stands on the policy head, and its sizes.

    Attributes:
        kind: the class.
        sizes: outputs for each component of the action: the number of choices, or 1 for a bit or a real number.
    """

    kind: type[Distribution]
    sizes: tuple[int, ...]

    @property
    def outputs(self) -> int:
        """K, outputs of the policy head."""
        return sum(self.sizes)

    @property
    def has_log_std(self) -> bool:
        """Whether the parameters have one log-standard-deviation a component."""
        return self.kind is Gaussian


HEADS = {kind.__name__: kind for kind in (Categorical, MultiCategorical, Bernoulli, Gaussian)}
