"""Diagonal Gaussian over latent numbers u, squashed by tanh into a Box. Each row has its own standard deviations.

    action = low + (high - low) (tanh(u) + 1) / 2,   u_ba = mu_ba + sigma_ba xi_ba

A stored action is u and xi, 2A numbers: u_0, u_1, ..., xi_0, xi_1, ... The update computes the density from u, which
nothing has clipped or rounded to a bound; tanh(u) could not be turned back into u. It computes the entropy from xi.
"""

import math

import numpy as np

from kernels._jit import kernel
from kernels.bernoulli import _softplus

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
LOG_2 = math.log(2.0)


@kernel
def _log_slope(u, log_width):
    """log |da/du| = log((high - low)/2) + log(1 - tanh(u)^2), without the tanh, which is 1 where u is large.

    log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u))
    """
    return log_width - LOG_2 + 2.0 * (LOG_2 - u - _softplus(-2.0 * u))


@kernel
def squashed_sample(means, log_std, log_width, normals, actions, logprobs):
    """Sample one latent action per row by shifting and scaling normal numbers.

    u_ba = mu_ba + sigma_ba xi_ba,   log pi_b as in `squashed_forward`

    log pi_b is computed from the stored, rounded u, because the update uses that u.

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        means: mu, (B, A).
        log_std: log sigma, (B, A).
        log_width: log(high - low), (A,).
        normals: xi, independent standard normal numbers, (B, A).
        actions: output, u and xi, (B, 2 A), overwritten.
        logprobs: output, log pi, (B,), overwritten.
    """
    components = means.shape[1]
    for b in range(means.shape[0]):
        logprob = 0.0
        for a in range(components):
            actions[b, a] = means[b, a] + np.exp(log_std[b, a]) * normals[b, a]
            actions[b, components + a] = normals[b, a]
            u = np.float64(actions[b, a])
            zeta = (u - means[b, a]) * np.exp(-log_std[b, a])
            logprob -= 0.5 * zeta * zeta + log_std[b, a] + HALF_LOG_2PI + _log_slope(u, log_width[a])
        logprobs[b] = logprob


@kernel
def squashed_forward(means, log_std, actions, log_width, logprobs, entropies):
    """Log-density in the Box of the given actions, and an estimate of the entropy from one sample of each row.

    log pi_b = - sum_a (zeta_ba^2 / 2 + log sigma_ba + log(2 pi) / 2 + log |da/du|(u_ba)),
    zeta_ba = (u_ba - mu_ba) / sigma_ba,   log |da/du| = log(high_a - low_a) - log 2 + 2 (log 2 - u - softplus(-2 u))
    H_b = sum_a (log sigma_ba + log(2 pi e) / 2 + log |da/du|(mu_ba + sigma_ba xi_ba))

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        means: mu, (B, A).
        log_std: log sigma, (B, A).
        actions: u and xi, (B, 2 A).
        log_width: log(high - low), (A,).
        logprobs: output, log pi, (B,), overwritten.
        entropies: output, H, (B,), in nats, overwritten.
    """
    components = means.shape[1]
    for b in range(means.shape[0]):
        logprob = entropy = 0.0
        for a in range(components):
            u = np.float64(actions[b, a])
            zeta = (u - means[b, a]) * np.exp(-log_std[b, a])
            logprob -= 0.5 * zeta * zeta + log_std[b, a] + HALF_LOG_2PI + _log_slope(u, log_width[a])
            fresh = np.float64(means[b, a] + np.exp(log_std[b, a]) * actions[b, components + a])
            entropy += log_std[b, a] + HALF_LOG_2PI + 0.5 + _log_slope(fresh, log_width[a])
        logprobs[b] = logprob
        entropies[b] = entropy


@kernel
def squashed_backward(dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std):
    """Gradient with respect to mu and log sigma: the sum of the parts through the log-density and through the entropy.

    dmu_ba        = dlogpi_b zeta_ba / sigma_ba - 2 dH_b t_ba,   t_ba = tanh(mu_ba + sigma_ba xi_ba)
    dlog_sigma_ba = dlogpi_b (zeta_ba^2 - 1) + dH_b (1 - 2 t_ba sigma_ba xi_ba)

    The log-density's part is that of the Gaussian, because u does not change. The entropy's is that of the estimate in
    `squashed_forward`, in which xi does not change, and the sample mu + sigma xi moves with mu and sigma.

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        dlogprobs: gradient of the loss with respect to log pi, (B,).
        dentropies: gradient of the loss with respect to H, (B,).
        means, log_std, actions: as in the forward pass.
        dmeans: output, (B, A), overwritten.
        dlog_std: output, (B, A), overwritten.
    """
    components = means.shape[1]
    for b in range(means.shape[0]):
        for a in range(components):
            std = np.exp(log_std[b, a])
            zeta = (actions[b, a] - means[b, a]) / std
            move = std * actions[b, components + a]
            t = np.tanh(means[b, a] + move)
            dmeans[b, a] = dlogprobs[b] * zeta / std - 2 * dentropies[b] * t
            dlog_std[b, a] = dlogprobs[b] * (zeta * zeta - 1) + dentropies[b] * (1 - 2 * t * move)
