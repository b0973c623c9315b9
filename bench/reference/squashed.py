"""The squashed Gaussian in vectorised NumPy."""

import math

import numpy as np

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _log_slope(u, log_width):
    """The logarithm of the slope, with NumPy's softplus."""
    return log_width - math.log(2) + 2 * (math.log(2) - u - np.logaddexp(0, -2 * u))


def numpy_squashed_sample(means, log_std, log_width, normals, actions, logprobs):
    """Scale and shift, then sum the log-densities by rows."""
    components = means.shape[1]
    actions[:, :components] = means + np.exp(log_std) * normals
    actions[:, components:] = normals
    slope = _log_slope(actions[:, :components], log_width)
    logprobs[:] = -(0.5 * normals**2 + log_std + HALF_LOG_2PI + slope).sum(axis=1)


def numpy_squashed_forward(means, log_std, actions, log_width, logprobs, entropies):
    """Standardise, then sum by rows."""
    u, noise = np.split(actions, 2, axis=1)
    zeta = (u - means) * np.exp(-log_std)
    logprobs[:] = -(0.5 * zeta**2 + log_std + HALF_LOG_2PI + _log_slope(u, log_width)).sum(axis=1)
    fresh = means + np.exp(log_std) * noise
    entropies[:] = (log_std + HALF_LOG_2PI + 0.5 + _log_slope(fresh, log_width)).sum(axis=1)


def numpy_squashed_backward(dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std):
    """All numbers at once."""
    u, noise = np.split(actions, 2, axis=1)
    dlogprobs, dentropies, std = dlogprobs[:, np.newaxis], dentropies[:, np.newaxis], np.exp(log_std)
    zeta, move = (u - means) / std, std * noise
    t = np.tanh(means + move)
    dmeans[:] = dlogprobs * zeta / std - 2 * dentropies * t
    dlog_std[:] = dlogprobs * (zeta**2 - 1) + dentropies * (1 - 2 * t * move)
