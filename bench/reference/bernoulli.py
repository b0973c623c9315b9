"""Independent bits in vectorised NumPy."""

import numpy as np


def softplus(x):
    """log(1 + e^x), by the ufunc that adds in logarithms."""
    return np.logaddexp(0, x)


def sigmoid(x):
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


def numpy_bernoulli_sample(logits, uniforms, actions, logprobs):
    """Compare all at once, then sum the log-probabilities by rows."""
    np.less(uniforms, sigmoid(logits), out=actions, casting="unsafe")
    logprobs[:] = (actions * logits - softplus(logits)).sum(axis=1)


def numpy_bernoulli_mode(logits, actions):
    """One comparison into the output."""
    np.greater(logits, 0, out=actions, casting="unsafe")


def numpy_bernoulli_forward(logits, actions, logprobs, entropies):
    """One softplus for both sums."""
    soft = softplus(logits)
    logprobs[:] = (actions * logits - soft).sum(axis=1)
    entropies[:] = (soft - sigmoid(logits) * logits).sum(axis=1)


def numpy_bernoulli_backward(dlogprobs, dentropies, logits, actions, dlogits):
    """The formula by broadcasting."""
    q = sigmoid(logits)
    dlogits[:] = dlogprobs[:, np.newaxis] * (actions - q) - dentropies[:, np.newaxis] * logits * q * (1 - q)
