import numpy as np


def ratio(logprobs, old_logprobs):
    return 1 + np.expm1(logprobs - old_logprobs)


def approx_kl(logprobs, old_logprobs):
    change = old_logprobs - logprobs
    return np.average(change + np.expm1(-change))


PLANT = {
    "minus-1": ("1 + np.expm1", "np.expm1"),
    "swapped-logprobs": ("np.expm1(logprobs - old_logprobs)", "np.expm1(old_logprobs - logprobs)"),
    "k1": ("change + np.expm1(-change)", "change"),
    "no-minus-1": ("np.expm1(-change)", "np.exp(-change)"),
    "reverse-kl": ("change + np.expm1(-change)", "-change * np.exp(-change) - np.expm1(-change)"),
    "sum-for-mean": ("np.average(", "np.sum("),
}
