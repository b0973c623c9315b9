"""The Beta distribution in vectorised NumPy."""

import numpy as np

from bench.reference.special import numpy_digamma, numpy_log_gamma, numpy_trigamma
from kernels.beta import ENDS


def _parameters(outputs):
    """alpha and beta, (B, A) each, in float64."""
    parameters = 1 + np.logaddexp(0, np.float64(outputs))
    return parameters[:, 0::2], parameters[:, 1::2]


def _gamma(shape, normals, uniforms):
    """Compute all proposals, and take the first accepted one of each number."""
    d = (shape - 1 / 3)[..., np.newaxis]
    v = (1 + normals / np.sqrt(9 * d)) ** 3
    with np.errstate(invalid="ignore"):
        accepted = (v > 0) & (np.log1p(-uniforms) < 0.5 * np.float64(normals) ** 2 + d * (1 - v + np.log(v)))
    first = np.take_along_axis(v, accepted.argmax(axis=-1)[..., np.newaxis], axis=-1)
    return (d * np.where(accepted.any(axis=-1)[..., np.newaxis], first, 1))[..., 0]


def _log_beta(alpha, beta):
    return numpy_log_gamma(alpha) + numpy_log_gamma(beta) - numpy_log_gamma(alpha + beta)


def _log_density(alpha, beta, x):
    return (alpha - 1) * np.log(x) + (beta - 1) * np.log1p(-x) - _log_beta(alpha, beta)


def numpy_beta_sample(outputs, log_width, normals, uniforms, actions, logprobs):
    """Two gamma numbers for each component."""
    alpha, beta = _parameters(outputs)
    one, other = (_gamma(p, normals[:, :, i], uniforms[:, :, i]) for i, p in enumerate((alpha, beta)))
    actions[:] = np.clip(one / (one + other), ENDS, 1 - ENDS)
    logprobs[:] = (_log_density(alpha, beta, np.float64(actions)) - log_width).sum(axis=1)


def numpy_beta_mode(outputs, actions):
    """The place of the maximum."""
    alpha, beta = _parameters(outputs)
    actions[:] = np.clip((alpha - 1) / (alpha + beta - 2), ENDS, 1 - ENDS)


def numpy_beta_forward(outputs, actions, log_width, logprobs, entropies):
    """All numbers at once, then sum by rows."""
    alpha, beta = _parameters(outputs)
    logprobs[:] = (_log_density(alpha, beta, np.float64(actions)) - log_width).sum(axis=1)
    parts = (alpha - 1) * numpy_digamma(alpha) + (beta - 1) * numpy_digamma(beta)
    total = alpha + beta
    entropies[:] = (_log_beta(alpha, beta) - parts + (total - 2) * numpy_digamma(total) + log_width).sum(axis=1)


def numpy_beta_backward(dlogprobs, dentropies, outputs, actions, doutputs):
    """Both parameters with the same formula, one after the other."""
    x, total = np.float64(actions), np.add(*_parameters(outputs))
    dlogprobs, dentropies = dlogprobs[:, np.newaxis], dentropies[:, np.newaxis]
    shared = dlogprobs * numpy_digamma(total) + dentropies * (total - 2) * numpy_trigamma(total)
    for side, (parameter, log_x) in enumerate(zip(_parameters(outputs), (np.log(x), np.log1p(-x)), strict=True)):
        slope = shared + dlogprobs * (log_x - numpy_digamma(parameter))
        slope -= dentropies * (parameter - 1) * numpy_trigamma(parameter)
        doutputs[:, side::2] = slope / (1 + np.exp(-np.float64(outputs[:, side::2])))
