"""Lesson 14: a diagonal Gaussian over actions that are real numbers.

B rows, A components. The standard deviations are parameters: the same in all rows.
"""

import numpy as np


def gaussian_forward(means, log_std, actions):
    """Log-density of the given actions, and the entropy, which is the same in each row.

    log pi_b = - sum_a (zeta_ba^2 / 2 + log sigma_a + log(2 pi) / 2),   zeta_ba = (x_ba - mu_ba) / sigma_a
    H_b      = sum_a (log sigma_a + log(2 pi e) / 2)

    Args:
        means: mu, (B, A).
        log_std: log sigma, (A,).
        actions: x, (B, A).

    Returns:
        logprobs (B,): log pi; entropies (B,): H, in nats.
    """
    zeta = (actions - means) / np.exp(log_std)
    terms = zeta**2 / 2 + log_std + np.log(2 * np.pi) / 2
    logprobs = -terms.sum(axis=1)
    entropy = (log_std + np.log(2 * np.pi * np.e) / 2).sum()
    return logprobs, entropy * np.ones(len(actions))


def gaussian_backward(dlogprobs, dentropies, means, log_std, actions):
    """Gradient of the loss with respect to the means and to log sigma.

    Args:
        dlogprobs: upstream gradient of log pi, (B,).
        dentropies: upstream gradient of H, (B,).
        means, log_std, actions: as in the forward pass.

    Returns:
        dmeans (B, A), dlog_std (A,).
    """
    std = np.exp(log_std)
    zeta = (actions - means) / std
    dmeans = dlogprobs[:, None] * zeta / std
    dlog_std = (dlogprobs[:, None] * (zeta**2 - 1)).sum(axis=0)
    dlog_std = dlog_std + dentropies.sum()
    return dmeans, dlog_std
