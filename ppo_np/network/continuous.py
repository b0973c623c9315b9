"""Distributions over real numbers besides `Gaussian`: with a log_std from the network, squashed into a Box, Beta."""

import numpy as np
from numpy.typing import DTypeLike

from kernels.beta import ATTEMPTS, ENDS, beta_backward, beta_forward, beta_mode, beta_sample
from kernels.gaussian import state_gaussian_backward, state_gaussian_forward, state_gaussian_sample
from kernels.squashed import squashed_backward, squashed_forward, squashed_sample
from ppo_np.network.distributions import Array, Bounds, Distribution, Parts, Rng


class StateGaussian(Distribution):
    """A real numbers. The 2A outputs are mean and log_std of each component: mu_0, log sigma_0, mu_1, log sigma_1, ...

    Attributes:
        means, log_std: (B, A) each, of the last `sample` or `forward`.
    """

    output_name = "policy_outputs"
    action_dtype = None
    outputs_each = 2
    has_state_log_std = True

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike):
        super().__init__(sizes, rows, dtype)
        self.means, self.log_std, self._dmeans, self._dlog_std = np.zeros((4, rows, len(sizes)), dtype)

    @property
    def smallest_std(self) -> float:
        """That of the last `forward`."""
        return float(np.exp(self.log_std.min()))

    def parameters(self, outputs: Array, mask: Array | None = None) -> dict[str, Parts]:
        """Means and log_std."""
        self._split(outputs)
        return {"means": self.means.copy(), "log_std": self.log_std.copy()}

    def _split(self, outputs: Array) -> None:
        """Set `means` and `log_std`."""
        self.means[:] = outputs[:, 0::2]
        self.log_std[:] = outputs[:, 1::2]

    def _join(self, doutputs: Array) -> None:
        """Write the gradients with respect to them where they belong."""
        doutputs[:, 0::2] = self._dmeans
        doutputs[:, 1::2] = self._dlog_std

    def sample(self, outputs: Array, rng: Rng, mask: Array | None = None) -> None:
        """Use A normal numbers per row."""
        self._split(outputs)
        normals = rng.standard_normal(self.means.shape)
        state_gaussian_sample(self.means, self.log_std, normals, self.actions, self.logprobs)

    def mode(self, outputs: Array, mask: Array | None = None) -> None:
        """Take the means."""
        self.actions[:] = outputs[:, 0::2]

    def forward(self, outputs: Array, actions: Array, mask: Array | None = None) -> None:
        """Keep means and log_std for `backward`."""
        self._split(outputs)
        state_gaussian_forward(self.means, self.log_std, actions, self.logprobs, self.entropies)

    def backward(
        self, dlogprobs: Array, dentropies: Array, outputs: Array, actions: Array, doutputs: Array,
        mask: Array | None = None,
    ) -> None:  # fmt: skip
        """Gradient with respect to the means and to log_std of each row."""
        state_gaussian_backward(
            dlogprobs, dentropies, self.means, self.log_std, actions, self._dmeans, self._dlog_std
        )  # fmt: skip
        self._join(doutputs)


class StateSquashed(StateGaussian):
    """A numbers in a Box: tanh of the numbers u of a `StateGaussian`, scaled to the bounds.

    An action is stored as u and the normal numbers xi that it was drawn with, (B, 2 A): u_0, u_1, ..., xi_0, xi_1, ...
    """

    is_bounded = True

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike, bounds: Bounds):
        super().__init__(sizes, rows, dtype)
        self.actions = np.zeros((rows, 2 * len(sizes)), dtype)
        self.low, self.high = np.array(bounds)
        self.log_width = np.log(self.high - self.low)

    @property
    def env_actions(self) -> Array:
        """low + (high - low) (tanh(u) + 1) / 2."""
        u = self.actions[:, : len(self.low)]
        return self.low + (self.high - self.low) * (np.tanh(u) + 1) / 2

    def stored(self, env_actions: Array) -> Array:
        """u = artanh(2 (action - low) / (high - low) - 1), with xi = 0: only u decides the log-probability.

        Rounding may have put an action on a bound, where u would be infinite: there tanh(u) is the next number within,
        of the precision of `env_actions`.
        """
        t = 2 * (env_actions.astype(float) - self.low) / (self.high - self.low) - 1
        largest = float(np.nextafter(env_actions.dtype.type(1), 0))
        u = np.arctanh(np.clip(t, -largest, largest))
        return np.concatenate([u, np.zeros_like(u)], axis=1)

    def parameters(self, outputs: Array, mask: Array | None = None) -> dict[str, Parts]:
        """Means and log_std of u, and the bounds."""
        return {**super().parameters(outputs), "low": self.low.copy(), "high": self.high.copy()}

    def sample(self, outputs: Array, rng: Rng, mask: Array | None = None) -> None:
        """Use A normal numbers per row."""
        self._split(outputs)
        normals = rng.standard_normal(self.means.shape)
        squashed_sample(self.means, self.log_std, self.log_width, normals, self.actions, self.logprobs)

    def mode(self, outputs: Array, mask: Array | None = None) -> None:
        """Take tanh of the means: the median of the actions, not the most probable one."""
        self._split(outputs)
        self.actions[:, : len(self.low)] = self.means
        self.actions[:, len(self.low) :] = 0

    def forward(self, outputs: Array, actions: Array, mask: Array | None = None) -> None:
        """Keep means and log_std for `backward`; the entropy is an estimate from one sample of each row."""
        self._split(outputs)
        squashed_forward(self.means, self.log_std, actions, self.log_width, self.logprobs, self.entropies)

    def backward(
        self, dlogprobs: Array, dentropies: Array, outputs: Array, actions: Array, doutputs: Array,
        mask: Array | None = None,
    ) -> None:  # fmt: skip
        """Gradient with respect to the outputs, of the entropies that `forward` has estimated."""
        squashed_backward(dlogprobs, dentropies, self.means, self.log_std, actions, self._dmeans, self._dlog_std)
        self._join(doutputs)


class Squashed(StateSquashed):
    """As `StateSquashed`, but log_std is a parameter, the same in each row, and the A outputs are the means.

    Args:
        sizes, rows, dtype, bounds: as for the others.
        log_std, dlog_std: (A,), views into the flat parameters and gradients.
    """

    output_name = "means"
    outputs_each = 1
    has_log_std = True
    has_state_log_std = False

    def __init__(
        self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike, bounds: Bounds, log_std: Array, dlog_std: Array
    ):
        super().__init__(sizes, rows, dtype, bounds)
        self._parameter, self.dlog_std = log_std, dlog_std

    def _split(self, outputs: Array) -> None:
        self.means[:] = outputs
        self.log_std[:] = self._parameter

    def _join(self, doutputs: Array) -> None:
        """All rows share log_std: dlog_sigma_a = sum_b dlog_sigma_ba."""
        doutputs[:] = self._dmeans
        np.sum(self._dlog_std, axis=0, out=self.dlog_std)


class Beta(Distribution):
    """A numbers in a Box, from 2A outputs: x in (0, 1) with a Beta distribution, scaled to the bounds.

    An action is stored as x.
    """

    output_name = "policy_outputs"
    action_dtype = None
    outputs_each = 2
    is_bounded = True

    def __init__(self, sizes: tuple[int, ...], rows: int, dtype: DTypeLike, bounds: Bounds):
        super().__init__(sizes, rows, dtype)
        self.low, self.high = np.array(bounds)
        self.log_width = np.log(self.high - self.low)

    @property
    def env_actions(self) -> Array:
        """low + (high - low) x."""
        return self.low + (self.high - self.low) * self.actions

    def stored(self, env_actions: Array) -> Array:
        """x = (action - low) / (high - low), kept in [2^-24, 1 - 2^-24] as when actions are drawn."""
        x = (env_actions.astype(float) - self.low) / (self.high - self.low)
        return np.clip(x, ENDS, 1 - ENDS)

    def parameters(self, outputs: Array, mask: Array | None = None) -> dict[str, Parts]:
        """Alpha and beta, and the bounds."""
        more = 1 + np.logaddexp(0, outputs)
        return {"alpha": more[:, 0::2], "beta": more[:, 1::2], "low": self.low.copy(), "high": self.high.copy()}

    def sample(self, outputs: Array, rng: Rng, mask: Array | None = None) -> None:
        """Use the numbers that `draw` gives, however many are needed."""
        beta_sample(outputs, self.log_width, *self.draw(rng), self.actions, self.logprobs)

    def draw(self, rng: Rng) -> tuple[Array, Array]:
        """2 A times `ATTEMPTS` normal numbers per row, then as many uniform ones."""
        shape = (*self.actions.shape, 2, ATTEMPTS)
        return rng.standard_normal(shape), rng.random(shape)

    def mode(self, outputs: Array, mask: Array | None = None) -> None:
        """Take the most probable numbers."""
        beta_mode(outputs, self.actions)

    def forward(self, outputs: Array, actions: Array, mask: Array | None = None) -> None:
        """Keep nothing for `backward`."""
        beta_forward(outputs, actions, self.log_width, self.logprobs, self.entropies)

    def backward(
        self, dlogprobs: Array, dentropies: Array, outputs: Array, actions: Array, doutputs: Array,
        mask: Array | None = None,
    ) -> None:  # fmt: skip
        """Gradient with respect to the outputs."""
        beta_backward(dlogprobs, dentropies, outputs, actions, doutputs)
