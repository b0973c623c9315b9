import math

import numpy as np


def ratio(logprobs, old_logprobs):
    rho = np.zeros(len(logprobs))
    for b in range(len(rho)):
        rho[b] = math.exp(logprobs[b] - old_logprobs[b])
    return rho


def approx_kl(logprobs, old_logprobs):
    total = 0.0
    for new, old in zip(logprobs, old_logprobs, strict=True):
        log_rho = new - old
        total += math.exp(log_rho) - 1 - log_rho
    return total / len(logprobs)


PLANT = {
    "swapped-logprobs": ("math.exp(logprobs[b] - old_logprobs[b])", "math.exp(old_logprobs[b] - logprobs[b])"),
    "no-exp": ("math.exp(logprobs[b] - old_logprobs[b])", "logprobs[b] - old_logprobs[b]"),
    "log-base": ("math.exp(logprobs[b] - old_logprobs[b])", "2 ** (logprobs[b] - old_logprobs[b])"),
    "quotient-of-logarithms": ("math.exp(logprobs[b] - old_logprobs[b])", "logprobs[b] / old_logprobs[b]"),
    "k1": ("total += math.exp(log_rho) - 1 - log_rho", "total -= log_rho"),
    "k2": ("math.exp(log_rho) - 1 - log_rho", "log_rho**2 / 2"),
    "plus-log": ("- 1 - log_rho", "- 1 + log_rho"),
    "sum-for-mean": ("total / len(logprobs)", "total"),
    "other-direction": ("log_rho = new - old", "log_rho = old - new"),
}
