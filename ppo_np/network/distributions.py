"""Action distributions: the kernels that turn outputs of the policy head into actions, and gradients back.

A distribution owns the preallocated arrays for B rows. Shapes: outputs, doutputs (B, K), K as `ActionHead.outputs`;
mask (B, K) int8, 1 where an action is valid; logprobs, entropies and their gradients (B,).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike

from kernels.bernoulli import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample
from kernels.categorical import (
    categorical_backward,
    categorical_forward,
    categorical_mode,
    categorical_sample,
    log_softmax,
)
from kernels.gaussian import gaussian_backward, gaussian_forward, gaussian_sample
from kernels.masked_categorical import (
    masked_categorical_backward,
    masked_categorical_forward,
    masked_categorical_mode,
    masked_categorical_sample,
    masked_log_softmax,
)
from ppo_np.distributed.ranks import OwnRows

Array = np.ndarray
Rng = np.random.Generator | OwnRows
Parts = Array | tuple[Array, ...]
Bounds = tuple[tuple[float, ...], tuple[float, ...]]  # low and high of a Box


class Distribution:
    """What the distributions have in common.

    Args:
        sizes: outputs for each component of the action, as `ActionHead.sizes`. rows: B. dtype: of the network.

    Attributes:
        actions: (B, A), of the last `sample` or `mode`, as the rollout stores them; (B,) for Categorical.
        logprobs, entropies: (B,), of the last `forward`; `sample` sets the logprobs only.
        output_name: name of the policy head's outputs.
        outputs_each: outputs for each component of the action; 0 if that depends on the component.
        has_log_std: whether the constructor takes log_std and dlog_std too.
        has_state_log_std: whether every second output is the log_std of a component.
        is_bounded: whether the constructor takes the bounds of the Box too.
        takes_mask: whether the methods use a mask; None allows all actions.
        action_dtype: dtype of the actions; None for that of the network.
    """

    output_name = "logits"
    outputs_each = 0
    has_log_std = False
    has_state_log_std = False
    is_bounded = False
    takes_mask = False
    action_dtype: DTypeLike | None = np.int64

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        self.actions: Array = np.zeros((rows, len(sizes)), self.action_dtype or dtype)
        self.logprobs = np.zeros(rows, dtype)
        self.entropies = np.zeros(rows, dtype)

    @property
    def env_actions(self) -> Array:
        """The last `actions` as numbers of the action space: (B, A), or (B,) for Categorical."""
        return self.actions

    @property
    def smallest_std(self) -> float:
        """The smallest standard deviation of a Gaussian; 1 for all other distributions."""
        return 1.0

    def stored(self, env_actions: Array) -> Array:
        """Actions as the rollout stores them, from numbers of the action space: the inverse of `env_actions`."""
        return env_actions

    def parameters(self, outputs: Array, mask: Array | None = None) -> dict[str, Parts]:
        """What describes the distribution of each row, by name, in new arrays: (B, A) each.

        (B, K) for Categorical, and for MultiCategorical a tuple with such an array for each choice.
        """
        raise NotImplementedError

    def sample(self, outputs: Array, rng: Rng, mask: Array | None = None) -> None:
        """Draw `actions` and set their `logprobs`."""
        raise NotImplementedError

    def mode(self, outputs: Array, mask: Array | None = None) -> None:
        """Set `actions` to the most probable ones."""
        raise NotImplementedError

    def forward(self, outputs: Array, actions: Array, mask: Array | None = None) -> None:
        """Set `logprobs` and `entropies` of the given actions."""
        raise NotImplementedError

    def backward(
        self, dlogprobs: Array, dentropies: Array, outputs: Array, actions: Array, doutputs: Array,
        mask: Array | None = None,
    ) -> None:  # fmt: skip
        """Write the gradient with respect to `outputs` into `doutputs`, after `forward` on the same arguments."""
        raise NotImplementedError


class Categorical(Distribution):
    """One choice among K actions, from K logits; an action is an integer in [0, K)."""

    takes_mask = True

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        super().__init__(sizes, rows, dtype)
        self.actions = self.actions.reshape(rows)
        self.log_probs = np.zeros((rows, sizes[0]), dtype)

    def parameters(self, logits: Array, mask: Array | None = None) -> dict[str, Parts]:
        """Logits, -inf where an action is invalid, and probabilities."""
        if mask is None:
            log_softmax(logits, self.log_probs)
            return {"logits": logits.copy(), "probabilities": np.exp(self.log_probs)}
        masked_log_softmax(logits, mask, self.log_probs)
        return {"logits": np.where(mask, logits, logits.dtype.type(-np.inf)), "probabilities": np.exp(self.log_probs)}

    def sample(self, logits: Array, rng: Rng, mask: Array | None = None) -> None:
        """Use one uniform number per row."""
        uniforms = rng.random(len(logits))
        if mask is None:
            categorical_sample(logits, uniforms, self.log_probs, self.actions, self.logprobs)
        else:
            masked_categorical_sample(logits, mask, uniforms, self.log_probs, self.actions, self.logprobs)

    def mode(self, logits: Array, mask: Array | None = None) -> None:
        """Take the valid action with the largest logit."""
        if mask is None:
            categorical_mode(logits, self.actions)
        else:
            masked_categorical_mode(logits, mask, self.actions)

    def forward(self, logits: Array, actions: Array, mask: Array | None = None) -> None:
        """Keep the log-softmax for `backward`."""
        if mask is None:
            categorical_forward(logits, actions, self.log_probs, self.logprobs, self.entropies)
        else:
            masked_categorical_forward(logits, mask, actions, self.log_probs, self.logprobs, self.entropies)

    def backward(
        self, dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, dlogits: Array,
        mask: Array | None = None,
    ) -> None:  # fmt: skip
        """Gradient with respect to the logits, computed from the log-softmax."""
        if mask is None:
            categorical_backward(dlogprobs, dentropies, actions, self.log_probs, self.entropies, dlogits)
        else:
            masked_categorical_backward(
                dlogprobs, dentropies, mask, actions, self.log_probs, self.entropies, dlogits
            )  # fmt: skip


class MultiCategorical(Distribution):
    """S independent choices, the s-th among `sizes[s]`; an action is S integers.

    log pi(a) = sum_s log pi_s(a_s) and H = sum_s H_s, so each part computes its own gradient. Each part has its own
    columns of the mask.
    """

    takes_mask = True

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        super().__init__(sizes, rows, dtype)
        self.sizes = sizes
        self._parts = [Categorical((size,), rows, dtype) for size in sizes]
        self._logits = [np.zeros((rows, size), dtype) for size in sizes]
        self._masks = [np.zeros((rows, size), np.int8) for size in sizes]
        self._dlogits = [np.zeros((rows, size), dtype) for size in sizes]
        self._columns = [slice(end - size, end) for size, end in zip(sizes, np.cumsum(sizes), strict=True)]

    def _split(self, logits: Array, mask: Array | None) -> Iterator[tuple[int, Categorical, Array, Array | None]]:
        """For each part s: s, its distribution, and contiguous copies of its logits and of its mask."""
        for s, (part, columns, part_logits) in enumerate(zip(self._parts, self._columns, self._logits, strict=True)):
            part_logits[:] = logits[:, columns]
            if mask is not None:
                self._masks[s][:] = mask[:, columns]
            yield s, part, part_logits, None if mask is None else self._masks[s]

    def parameters(self, logits: Array, mask: Array | None = None) -> dict[str, Parts]:
        """As for Categorical, a tuple of one array for each choice."""
        split = self._split(logits, mask)
        parts = [part.parameters(part_logits, part_mask) for _, part, part_logits, part_mask in split]
        return {name: tuple(np.asarray(part[name]) for part in parts) for name in ("logits", "probabilities")}

    def sample(self, logits: Array, rng: Rng, mask: Array | None = None) -> None:
        """Use S uniform numbers per row, part by part."""
        self.logprobs[:] = 0
        for s, part, part_logits, part_mask in self._split(logits, mask):
            part.sample(part_logits, rng, part_mask)
            self.actions[:, s] = part.actions
            self.logprobs += part.logprobs

    def mode(self, logits: Array, mask: Array | None = None) -> None:
        """Take the valid choices with the largest logits."""
        for s, part, part_logits, part_mask in self._split(logits, mask):
            part.mode(part_logits, part_mask)
            self.actions[:, s] = part.actions

    def forward(self, logits: Array, actions: Array, mask: Array | None = None) -> None:
        """Sum over the parts."""
        self.logprobs[:] = 0
        self.entropies[:] = 0
        for s, part, part_logits, part_mask in self._split(logits, mask):
            part.actions[:] = actions[:, s]
            part.forward(part_logits, part.actions, part_mask)
            self.logprobs += part.logprobs
            self.entropies += part.entropies

    def backward(
        self, dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, dlogits: Array,
        mask: Array | None = None,
    ) -> None:  # fmt: skip
        """Gradient with respect to the logits, part by part."""
        for s, (part, columns, part_dlogits) in enumerate(zip(self._parts, self._columns, self._dlogits, strict=True)):
            part_mask = None if mask is None else self._masks[s]  # as `forward` has set it
            part.backward(dlogprobs, dentropies, logits[:, columns], part.actions, part_dlogits, part_mask)
            dlogits[:, columns] = part_dlogits


class Bernoulli(Distribution):
    """A independent bits, from A logits; an action is A zeros and ones of int8, as in Gymnasium's MultiBinary."""

    action_dtype = np.int8

    def parameters(self, logits: Array, mask: Array | None = None) -> dict[str, Parts]:
        """Logits, and the probabilities of a 1: 1 / (1 + exp(-logit))."""
        return {"logits": logits.copy(), "probabilities": np.exp(-np.logaddexp(0, -logits))}

    def sample(self, logits: Array, rng: Rng, mask: Array | None = None) -> None:
        """Use A uniform numbers per row."""
        bernoulli_sample(logits, rng.random(logits.shape), self.actions, self.logprobs)

    def mode(self, logits: Array, mask: Array | None = None) -> None:
        """Take 1 where the logit is positive."""
        bernoulli_mode(logits, self.actions)

    def forward(self, logits: Array, actions: Array, mask: Array | None = None) -> None:
        """Keep nothing for `backward`."""
        bernoulli_forward(logits, actions, self.logprobs, self.entropies)

    def backward(
        self, dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, dlogits: Array,
        mask: Array | None = None,
    ) -> None:  # fmt: skip
        """Gradient with respect to the logits."""
        bernoulli_backward(dlogprobs, dentropies, logits, actions, dlogits)


class Gaussian(Distribution):
    """A real numbers, from A means; their standard deviations do not depend on the observation.

    Args:
        sizes, rows, dtype: as for the others.
        log_std, dlog_std: (A,), views into the flat parameters and gradients.
    """

    output_name = "means"
    outputs_each = 1
    has_log_std = True
    action_dtype = None

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike, log_std: Array, dlog_std: Array):
        super().__init__(sizes, rows, dtype)
        self.log_std, self.dlog_std = log_std, dlog_std

    @property
    def smallest_std(self) -> float:
        """That of the parameters."""
        return float(np.exp(self.log_std.min()))

    def parameters(self, means: Array, mask: Array | None = None) -> dict[str, Parts]:
        """Means and log_std."""
        return {"means": means.copy(), "log_std": np.tile(self.log_std, (len(means), 1))}

    def sample(self, means: Array, rng: Rng, mask: Array | None = None) -> None:
        """Use A normal numbers per row."""
        gaussian_sample(means, self.log_std, rng.standard_normal(means.shape), self.actions, self.logprobs)

    def mode(self, means: Array, mask: Array | None = None) -> None:
        """Take the means."""
        self.actions[:] = means

    def forward(self, means: Array, actions: Array, mask: Array | None = None) -> None:
        """Keep nothing for `backward`."""
        gaussian_forward(means, self.log_std, actions, self.logprobs, self.entropies)

    def backward(
        self, dlogprobs: Array, dentropies: Array, means: Array, actions: Array, dmeans: Array,
        mask: Array | None = None,
    ) -> None:  # fmt: skip
        """Gradient with respect to the means, and with respect to log_std into `dlog_std`."""
        gaussian_backward(dlogprobs, dentropies, means, self.log_std, actions, dmeans, self.dlog_std)
