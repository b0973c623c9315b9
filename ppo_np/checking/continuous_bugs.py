"""Wrong gradients of the distributions in `ppo_np.network.continuous`; `planted_bugs` lists them with its own."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from kernels.special import digamma, trigamma
from ppo_np.config import PPOConfig

Right = Callable[[], None]
Arguments = SimpleNamespace

# The places of bugs: where the replaced function is looked up, and its name there.
STATE_GAUSSIAN = ("ppo_np.network.continuous", "state_gaussian_backward")
SQUASHED = ("ppo_np.network.continuous", "squashed_backward")
BETA = ("ppo_np.network.continuous", "beta_backward")


def _is(kind: str, config: PPOConfig) -> bool:
    return config.action_distribution == kind


NEEDS_STATE = ("log_std state and action_distribution gaussian", lambda c: c.log_std == "state" and _is("gaussian", c))
NEEDS_SQUASHED = ("action_distribution squashed", lambda c: _is("squashed", c))
NEEDS_SQUASHED_ENTROPY = (
    "action_distribution squashed and ent_coef > 0",
    lambda c: _is("squashed", c) and c.ent_coef > 0,
)
NEEDS_BETA = ("action_distribution beta", lambda c: _is("beta", c))
NEEDS_BETA_ENTROPY = ("action_distribution beta and ent_coef > 0", lambda c: _is("beta", c) and c.ent_coef > 0)


def log_std_summed(right: Right, a: Arguments) -> None:
    """log sigma's gradient is summed over the rows, although each row has its own log sigma (Box actions)."""
    right()
    a.dlog_std[:] = a.dlog_std.sum(axis=0)


def _latent(a: Arguments) -> tuple[np.ndarray, ...]:
    """dlogpi, dH, zeta, sigma, tanh of the sample that the entropy uses, and sigma xi."""
    u, xi = np.split(a.actions, 2, axis=1)
    sigma = np.exp(a.log_std)
    t = np.tanh(a.means + sigma * xi)
    return a.dlogprobs[:, np.newaxis], a.dentropies[:, np.newaxis], (u - a.means) / sigma, sigma, t, sigma * xi


def entropy_without_jacobian(right: Right, a: Arguments) -> None:
    """The entropy's gradient is that of the Gaussian: the terms of the squashing, -2 tanh, are missing."""
    right()
    _, dh, _, _, t, move = _latent(a)
    a.dmeans += 2 * dh * t
    a.dlog_std += 2 * dh * t * move


def entropy_at_fixed_action(right: Right, a: Arguments) -> None:
    """The entropy's gradient is that of -log pi at the action as it is, whose expectation is 0 (Box actions)."""
    right()
    dlogpi, dh, zeta, sigma, _, _ = _latent(a)
    a.dmeans[:] = (dlogpi - dh) * zeta / sigma
    a.dlog_std[:] = (dlogpi - dh) * (zeta**2 - 1)


def jacobian_moves(right: Right, a: Arguments) -> None:
    """The log-density's gradient has the slope of the Jacobian, 2 tanh(u), as if u moved with the mean."""
    right()
    a.dmeans += 2 * a.dlogprobs[:, np.newaxis] * np.tanh(a.actions[:, : a.means.shape[1]])


def _parameters(a: Arguments) -> tuple[np.ndarray, ...]:
    """dlogpi, dH, alpha and beta side by side, their sum beside itself, and the slopes of softplus."""
    parameters = 1 + np.logaddexp(0, a.outputs)
    total = np.repeat(parameters[:, 0::2] + parameters[:, 1::2], 2, axis=1)
    slopes = 1 / (1 + np.exp(-a.outputs))
    return a.dlogprobs[:, np.newaxis], a.dentropies[:, np.newaxis], parameters, total, slopes


def beta_without_sum(right: Right, a: Arguments) -> None:
    """The derivative of log B(alpha, beta) lacks the term of Gamma(alpha + beta): psi(alpha) alone (Box actions)."""
    right()
    dlogpi, _, _, total, slopes = _parameters(a)
    a.doutputs -= dlogpi * np.vectorize(digamma)(total) * slopes


def no_softplus_derivative(right: Right, a: Arguments) -> None:
    """The gradient is that with respect to alpha and beta: the derivative of softplus is missing (Box actions)."""
    right()
    a.doutputs /= _parameters(a)[-1]


def log_x_twice(right: Right, a: Arguments) -> None:
    """The derivative with respect to beta has log x, as that with respect to alpha, not log(1 - x) (Box actions)."""
    right()
    dlogpi, _, _, _, slopes = _parameters(a)
    a.doutputs[:, 1::2] += dlogpi * (np.log(a.actions) - np.log1p(-a.actions)) * slopes[:, 1::2]


def beta_entropy_without_sum(right: Right, a: Arguments) -> None:
    """The entropy's derivative lacks the term of alpha + beta, (alpha + beta - 2) psi'(alpha + beta) (Box actions)."""
    right()
    _, dh, _, total, slopes = _parameters(a)
    a.doutputs -= dh * (total - 2) * np.vectorize(trigamma)(total) * slopes


CONTINUOUS_BUGS = [
    (STATE_GAUSSIAN, NEEDS_STATE, log_std_summed),
    (SQUASHED, NEEDS_SQUASHED_ENTROPY, entropy_without_jacobian),
    (SQUASHED, NEEDS_SQUASHED_ENTROPY, entropy_at_fixed_action),
    (SQUASHED, NEEDS_SQUASHED, jacobian_moves),
    (BETA, NEEDS_BETA, beta_without_sum),
    (BETA, NEEDS_BETA, no_softplus_derivative),
    (BETA, NEEDS_BETA, log_x_twice),
    (BETA, NEEDS_BETA_ENTROPY, beta_entropy_without_sum),
]
