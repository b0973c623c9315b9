"""Diagonal Gaussian over BipedalWalker's 4 components against vectorised NumPy: an inference step, a minibatch."""

import math

import numpy as np
from shapes import every_shape

from kernels import gaussian_backward, gaussian_forward, gaussian_sample

every_rows = every_shape(of=lambda rows, width: (rows, 4))
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
    entropies[:] = (log_std + HALF_LOG_2PI + 0.5).sum()


def numpy_gaussian_backward(dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std):
    """Standardise by broadcasting, then sum by columns."""
    inverse_std = np.exp(-log_std)
    zeta = (actions - means) * inverse_std
    np.multiply(dlogprobs[:, np.newaxis], zeta * inverse_std, out=dmeans)
    np.sum(dlogprobs[:, np.newaxis] * (zeta**2 - 1) + dentropies[:, np.newaxis], axis=0, out=dlog_std)


@every_rows
def test_gaussian_sample(kernel_or_numpy, normal, sizes):
    rows, components = sizes
    arrays = normal(*sizes), normal(components), normal(*sizes), normal(*sizes), normal(rows)
    kernel_or_numpy(gaussian_sample, numpy_gaussian_sample, *arrays)


@every_rows
def test_gaussian_forward(kernel_or_numpy, normal, sizes):
    rows, components = sizes
    arrays = normal(*sizes), normal(components), normal(*sizes), normal(rows), normal(rows)
    kernel_or_numpy(gaussian_forward, numpy_gaussian_forward, *arrays)


@every_rows
def test_gaussian_backward(kernel_or_numpy, normal, sizes):
    rows, components = sizes
    upstream, inputs = (normal(rows), normal(rows)), (normal(*sizes), normal(components), normal(*sizes))
    kernel_or_numpy(gaussian_backward, numpy_gaussian_backward, *upstream, *inputs, normal(*sizes), normal(components))
