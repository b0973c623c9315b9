"""The diagonal Gaussian distribution in vectorised NumPy."""

import math

import numpy as np

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def numpy_gaussian_sample(means, log_std, normals, actions, logprobs):
    """Scale and shift by broadcasting, then sum the log-densities by rows."""
    np.multiply(np.exp(log_std), normals, out=actions)
    actions += means
    logprobs[:] = -(0.5 * normals**2 + log_std + HALF_LOG_2PI).sum(axis=1)


def numpy_gaussian_forward(means, log_std, actions, logprobs, entropies):
    """Standardise by broadcasting, then sum by rows."""
    zeta = (actions - means) * np.exp(-log_std)
    logprobs[:] = -(0.5 * zeta**2 + log_std + HALF_LOG_2PI).sum(axis=1)
    entropies[:] = (log_std + HALF_LOG_2PI + 0.5).sum(axis=-1)


def numpy_gaussian_backward(dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std):
    """Standardise by broadcasting, then sum by columns."""
    inverse_std = np.exp(-log_std)
    zeta = (actions - means) * inverse_std
    np.multiply(dlogprobs[:, np.newaxis], zeta * inverse_std, out=dmeans)
    np.sum(dlogprobs[:, np.newaxis] * (zeta**2 - 1) + dentropies[:, np.newaxis], axis=0, out=dlog_std)


# NumPy broadcasts log_std, whether it is (A,) or (B, A).
numpy_state_gaussian_sample = numpy_gaussian_sample
numpy_state_gaussian_forward = numpy_gaussian_forward


def numpy_state_gaussian_backward(dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std):
    """Standardise by broadcasting; nothing is summed."""
    inverse_std = np.exp(-log_std)
    zeta = (actions - means) * inverse_std
    np.multiply(dlogprobs[:, np.newaxis], zeta * inverse_std, out=dmeans)
    dlog_std[:] = dlogprobs[:, np.newaxis] * (zeta**2 - 1) + dentropies[:, np.newaxis]
