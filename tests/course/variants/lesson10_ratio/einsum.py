import numpy as np


def ratio(logprobs, old_logprobs):
    return np.einsum("b,b->b", np.exp(logprobs), np.exp(-old_logprobs))


def approx_kl(logprobs, old_logprobs):
    rho = ratio(logprobs, old_logprobs)
    one = np.full(len(rho), 1 / len(rho))
    return one @ rho - 1.0 - one @ (logprobs - old_logprobs)


PLANT = {
    "swapped-logprobs": ("np.exp(logprobs), np.exp(-old_logprobs)", "np.exp(-logprobs), np.exp(old_logprobs)"),
    "minus-1": ("np.exp(-old_logprobs))", "np.exp(-old_logprobs)) - 1"),
    "no-minus-1": ("one @ rho - 1.0 -", "one @ rho -"),
    "plus-log": ("- one @ (logprobs", "+ one @ (logprobs"),
}
