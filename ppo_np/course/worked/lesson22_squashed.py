"""Lesson 22, an extra: squashed actions. A Gaussian number u is squashed by tanh into a Box with bounds.

    x_ba = low_a + (high_a - low_a) (tanh(u_ba) + 1) / 2

B rows, A components. The standard deviations are parameters: the same in all rows, as in lesson 14.
"""

import numpy as np
from lesson14_gaussian import gaussian_backward, gaussian_forward


def log_slope(u):
    """Logarithm of the slope of tanh, log(1 - tanh(u)^2). It must be finite for each u from -500 to 500.

    log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)),   softplus(z) = log(1 + e^z)

    Args:
        u: (B, A).

    Returns:
        The logarithm, (B, A), <= 0.
    """
    softplus = np.logaddexp(0, -2 * u)
    return 2 * (np.log(2) - u - softplus)


def squashed_forward(means, log_std, u, low, high):
    """Log-density of the actions x in the Box.

    log pi_b = log of the Gaussian density of u_b (lesson 14) - sum_a log (dx/du)_ba

    The number u that was drawn is given, not x.

    Args:
        means: mu, (B, A).
        log_std: log sigma, (A,).
        u: (B, A).
        low, high: the bounds of the Box, (A,), low < high.

    Returns:
        logprobs (B,): log pi.
    """
    logprobs, _ = gaussian_forward(means, log_std, u)
    log_jacobian = np.log((high - low) / 2) + log_slope(u)
    return logprobs - log_jacobian.sum(axis=1)


def squashed_entropy(means, log_std, xi, low, high):
    """Estimate of the entropy of the actions x, from one sample in each row.

    H_b = entropy of the Gaussian (lesson 14) + sum_a log (dx/du)_ba at the sample mu_ba + sigma_a xi_ba

    Args:
        means, log_std, low, high: as in squashed_forward.
        xi: standard normal numbers, (B, A).

    Returns:
        entropies (B,): H, in nats.
    """
    sample = means + np.exp(log_std) * xi
    _, entropies = gaussian_forward(means, log_std, sample)
    log_jacobian = np.log((high - low) / 2) + log_slope(sample)
    return entropies + log_jacobian.sum(axis=1)


def squashed_backward(dlogprobs, dentropies, means, log_std, u, xi):
    """Gradient of the loss with respect to the means and to log sigma. u and xi do not change.

    Args:
        dlogprobs: dlogpi, upstream gradient of log pi, (B,).
        dentropies: dH, upstream gradient of H, (B,).
        means, log_std, u: as in squashed_forward.
        xi: as in squashed_entropy.

    Returns:
        dmeans (B, A), dlog_std (A,).
    """
    dmeans, dlog_std = gaussian_backward(dlogprobs, dentropies, means, log_std, u)
    move = np.exp(log_std) * xi
    dsample = -2 * dentropies[:, None] * np.tanh(means + move)
    dmeans = dmeans + dsample
    dlog_std = dlog_std + (dsample * move).sum(axis=0)
    return dmeans, dlog_std
