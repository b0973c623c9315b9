"""Diagonal Gaussian over A real components.

The standard deviations of the first three kernels do not depend on the state. Those of the last three do: each row is a
distribution of its own.
"""

import math

import numpy as np

from kernels._jit import kernel

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@kernel
def gaussian_sample(means, log_std, normals, actions, logprobs):
    """Sample one action per row by shifting and scaling normal numbers.

    x_ba = mu_ba + sigma_a xi_ba,   log pi_b as in `gaussian_forward`

    log pi_b is computed from the stored, rounded x, because the update uses that x.

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        means: mu, (B, A).
        log_std: log sigma, (A,).
        normals: xi, independent standard normal numbers, (B, A).
        actions: output, x, (B, A), overwritten.
        logprobs: output, log pi, (B,), overwritten.
    """
    for b in range(means.shape[0]):
        logprob = 0.0
        for a in range(means.shape[1]):
            actions[b, a] = means[b, a] + np.exp(log_std[a]) * normals[b, a]
            zeta = (actions[b, a] - means[b, a]) * np.exp(-log_std[a])
            logprob -= 0.5 * zeta * zeta + log_std[a] + HALF_LOG_2PI
        logprobs[b] = logprob


@kernel
def gaussian_forward(means, log_std, actions, logprobs, entropies):
    """Log-density of the given actions, and the entropy, which is the same in each row.

    log pi_b = - sum_a (zeta_ba^2 / 2 + log sigma_a + log(2 pi) / 2),   zeta_ba = (x_ba - mu_ba) / sigma_a
    H_b      = sum_a (log sigma_a + log(2 pi e) / 2)

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        means: mu, (B, A).
        log_std: log sigma, (A,).
        actions: x, (B, A).
        logprobs: output, log pi, (B,), overwritten.
        entropies: output, H, (B,), in nats, overwritten.
    """
    for b in range(means.shape[0]):
        logprob = entropy = 0.0
        for a in range(means.shape[1]):
            zeta = (actions[b, a] - means[b, a]) * np.exp(-log_std[a])
            logprob -= 0.5 * zeta * zeta + log_std[a] + HALF_LOG_2PI
            entropy += log_std[a] + HALF_LOG_2PI + 0.5
        logprobs[b] = logprob
        entropies[b] = entropy


@kernel
def gaussian_backward(dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std):
    """Gradient with respect to mu and log sigma: the sum of the parts through the log-density and through the entropy.

    dmu_ba        = dlogpi_b zeta_ba / sigma_a
    dlog_sigma_a  = sum_b (dlogpi_b (zeta_ba^2 - 1) + dH_b)

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        dlogprobs: gradient of the loss with respect to log pi, (B,).
        dentropies: gradient of the loss with respect to H, (B,).
        means, log_std, actions: as in the forward pass.
        dmeans: output, (B, A), overwritten.
        dlog_std: output, (A,), overwritten.
    """
    dlog_std[:] = 0
    for b in range(means.shape[0]):
        for a in range(means.shape[1]):
            inverse_std = np.exp(-log_std[a])
            zeta = (actions[b, a] - means[b, a]) * inverse_std
            dmeans[b, a] = dlogprobs[b] * zeta * inverse_std
            dlog_std[a] += dlogprobs[b] * (zeta * zeta - 1) + dentropies[b]


@kernel
def state_gaussian_sample(means, log_std, normals, actions, logprobs):
    """As `gaussian_sample`, with other standard deviations in each row.

    x_ba = mu_ba + sigma_ba xi_ba

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        means, normals, actions, logprobs: as there.
        log_std: log sigma, (B, A).
    """
    for b in range(means.shape[0]):
        row = slice(b, b + 1)
        gaussian_sample(means[row], log_std[b], normals[row], actions[row], logprobs[row])


@kernel
def state_gaussian_forward(means, log_std, actions, logprobs, entropies):
    """As `gaussian_forward`, with other standard deviations in each row.

    log pi_b = - sum_a (zeta_ba^2 / 2 + log sigma_ba + log(2 pi) / 2),   zeta_ba = (x_ba - mu_ba) / sigma_ba
    H_b      = sum_a (log sigma_ba + log(2 pi e) / 2)

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        means, actions, logprobs, entropies: as there.
        log_std: log sigma, (B, A).
    """
    for b in range(means.shape[0]):
        row = slice(b, b + 1)
        gaussian_forward(means[row], log_std[b], actions[row], logprobs[row], entropies[row])


@kernel
def state_gaussian_backward(dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std):
    """As `gaussian_backward`, but each row has its own log sigma, and nothing is summed over the rows.

    dmu_ba        = dlogpi_b zeta_ba / sigma_ba
    dlog_sigma_ba = dlogpi_b (zeta_ba^2 - 1) + dH_b

    Derivation: docs/gradients.md, "Diagonal Gaussian".

    Args:
        dlogprobs, dentropies, means, actions, dmeans: as there.
        log_std: log sigma, (B, A).
        dlog_std: output, (B, A), overwritten.
    """
    for b in range(means.shape[0]):
        row = slice(b, b + 1)
        gaussian_backward(
            dlogprobs[row], dentropies[row], means[row], log_std[b], actions[row], dmeans[row], dlog_std[b]
        )  # fmt: skip
