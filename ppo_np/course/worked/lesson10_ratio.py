"""Lesson 10: the ratio of new and old probability, and an estimate of how far apart the two policies are.

B rows. Row b holds an action that was drawn from the old policy.
"""

import numpy as np


def ratio(logprobs, old_logprobs):
    """Weight of each row: its probability under the current policy over that under the policy that drew it.

    rho_b = pi_b / pi_old_b

    Args:
        logprobs: log pi, with the current parameters, (B,).
        old_logprobs: log pi_old, from the rollout, (B,).

    Returns:
        rho, (B,), above 0.
    """
    log_ratios = logprobs - old_logprobs
    return np.exp(log_ratios)


def approx_kl(logprobs, old_logprobs):
    """Estimate of KL(pi_old || pi), never below 0 (Schulman 2020, "Approximating KL divergence", estimator k3).

    approx_kl = 1/B sum_b (rho_b - 1 - log rho_b)

    Args:
        logprobs: log pi, with the current parameters, (B,).
        old_logprobs: log pi_old, from the rollout, (B,).

    Returns:
        A number.
    """
    rho = ratio(logprobs, old_logprobs)
    terms = rho - 1 - (logprobs - old_logprobs)
    return terms.mean()
