"""Eight independent bits against vectorised NumPy: an inference step, a minibatch."""

import numpy as np
import pytest
from shapes import every_shape

from kernels import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample

every_rows = every_shape(of=lambda rows, width: (rows, 8))


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


@pytest.fixture
def bits(rng, sizes):
    """Random zeros and ones."""
    return rng.integers(2, size=sizes)


@every_rows
def test_bernoulli_sample(kernel_or_numpy, rng, normal, sizes, bits):
    kernel_or_numpy(bernoulli_sample, numpy_bernoulli_sample, normal(*sizes), rng.random(sizes), bits, normal(sizes[0]))


@every_rows
def test_bernoulli_mode(kernel_or_numpy, normal, sizes, bits):
    kernel_or_numpy(bernoulli_mode, numpy_bernoulli_mode, normal(*sizes), bits)


@every_rows
def test_bernoulli_forward(kernel_or_numpy, normal, sizes, bits):
    outputs = normal(sizes[0]), normal(sizes[0])
    kernel_or_numpy(bernoulli_forward, numpy_bernoulli_forward, normal(*sizes), bits, *outputs)


@every_rows
def test_bernoulli_backward(kernel_or_numpy, normal, sizes, bits):
    upstream = normal(sizes[0]), normal(sizes[0])
    kernel_or_numpy(bernoulli_backward, numpy_bernoulli_backward, *upstream, normal(*sizes), bits, normal(*sizes))
