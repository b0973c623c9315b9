"""Every distribution's derivative against the complex step through its textbook formula, written again in NumPy."""

import math

import complex_step
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from points import CONTINUOUS

from kernels.bernoulli import bernoulli_backward
from kernels.categorical import categorical_backward, categorical_forward
from kernels.gaussian import gaussian_backward
from kernels.masked_categorical import masked_categorical_backward, masked_categorical_forward

H = 1e-30
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)


def complex_gradient(function, x):
    """d function(x) / dx at each coordinate of x, by Im f(x + ih) / h."""
    units = np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([np.imag(function(x + 1j * H * unit)) / H for unit in units]).reshape(x.shape)


def draw(seed, rows, columns):
    """Two arrays (B, A), one (A,), and the upstream gradients dlogprobs and dentropies, (B,) each."""
    rng = np.random.default_rng(seed)
    return *rng.standard_normal((2, rows, columns)), 0.3 * rng.standard_normal(columns), *rng.standard_normal((2, rows))


def assert_equal_to_rounding(analytic, oracle):
    np.testing.assert_allclose(analytic, oracle, rtol=1e-12, atol=1e-13)


@given(seeds, sizes, sizes)
def test_categorical(seed, rows, num_actions):
    logits, _, _, dlogprobs, dentropies = draw(seed, rows, num_actions)
    actions = np.random.default_rng(seed).integers(num_actions, size=rows)

    def objective(logits):
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        entropies = -(np.exp(log_p) * log_p).sum(axis=1)
        return dlogprobs @ log_p[np.arange(rows), actions] + dentropies @ entropies

    log_probs, dlogits, (logprobs, entropies) = np.zeros_like(logits), np.zeros_like(logits), np.zeros((2, rows))
    categorical_forward(logits, actions, log_probs, logprobs, entropies)
    categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits)
    assert_equal_to_rounding(dlogits, complex_gradient(objective, logits))


@given(seeds, sizes, sizes)
def test_masked_categorical(seed, rows, num_actions):
    logits, _, _, dlogprobs, dentropies = draw(seed, rows, num_actions)
    rng = np.random.default_rng(seed)
    actions, mask = rng.integers(num_actions, size=rows), (rng.random((rows, num_actions)) < 0.5).astype(np.int8)
    mask[np.arange(rows), actions] = 1

    def objective(logits):
        p = np.where(mask, np.exp(logits), 0) / np.where(mask, np.exp(logits), 0).sum(axis=1, keepdims=True)
        entropies = -np.array(
            [(one[valid] * np.log(one[valid])).sum() for one, valid in zip(p, mask == 1, strict=True)]
        )
        return dlogprobs @ np.log(p[np.arange(rows), actions]) + dentropies @ entropies

    log_probs, dlogits, (logprobs, entropies) = np.zeros_like(logits), np.zeros_like(logits), np.zeros((2, rows))
    masked_categorical_forward(logits, mask, actions, log_probs, logprobs, entropies)
    masked_categorical_backward(dlogprobs, dentropies, mask, actions, log_probs, entropies, dlogits)
    assert_equal_to_rounding(dlogits, complex_gradient(objective, logits))


@pytest.mark.parametrize("by", ["means", "log_std"])
@given(seeds, sizes, sizes)
def test_gaussian(by, seed, rows, components):
    means, actions, log_std, dlogprobs, dentropies = draw(seed, rows, components)

    def objective(means, log_std):
        std = np.exp(log_std)
        densities = np.exp(-((actions - means) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
        entropies = np.full(rows, np.log(std * math.sqrt(2 * math.pi * math.e)).sum())
        return dlogprobs @ np.log(densities).sum(axis=1) + dentropies @ entropies

    dmeans, dlog_std = np.zeros_like(means), np.zeros_like(log_std)
    gaussian_backward(dlogprobs, dentropies, means, log_std, actions, dmeans, dlog_std)
    if by == "means":
        assert_equal_to_rounding(dmeans, complex_gradient(lambda x: objective(x, log_std), means))
    else:
        assert_equal_to_rounding(dlog_std, complex_gradient(lambda x: objective(means, x), log_std))


@given(seeds, sizes, sizes)
def test_bernoulli(seed, rows, bits):
    logits, _, _, dlogprobs, dentropies = draw(seed, rows, bits)
    actions = np.random.default_rng(seed).integers(2, size=(rows, bits))

    def objective(logits):
        q = 1 / (1 + np.exp(-logits))
        logprobs = np.log(np.where(actions == 1, q, 1 - q)).sum(axis=1)
        entropies = -(q * np.log(q) + (1 - q) * np.log(1 - q)).sum(axis=1)
        return dlogprobs @ logprobs + dentropies @ entropies

    dlogits = np.zeros_like(logits)
    bernoulli_backward(dlogprobs, dentropies, logits, actions, dlogits)
    assert_equal_to_rounding(dlogits, complex_gradient(objective, logits))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_other_distributions_of_real_numbers(name):
    """The formulas are those of `complex_step`, which the test of the whole loss uses, too."""
    head, rows, rng = CONTINUOUS[name], 7, np.random.default_rng(0)
    log_std, dlog_std = 0.3 * rng.standard_normal(2), np.zeros(2)
    more = {"log_std": log_std, "dlog_std": dlog_std} if head.has_log_std else {}
    pi = head.kind(head.sizes, rows, float, **({"bounds": head.bounds} if head.bounds else {}), **more)
    outputs, (dlogprobs, dentropies) = rng.standard_normal((rows, head.outputs)), rng.standard_normal((2, rows))
    pi.sample(outputs[::-1].copy(), rng)
    actions, doutputs = pi.actions.copy(), np.zeros_like(outputs)

    def objective(outputs, log_std=log_std):
        tensors = {"policy/log_std": log_std}
        logprobs, entropies = complex_step.DISTRIBUTIONS[head.kind](outputs, actions, head, tensors, None)
        return dlogprobs @ logprobs + dentropies @ entropies

    pi.forward(outputs, actions)
    pi.backward(dlogprobs, dentropies, outputs, actions, doutputs)
    assert_equal_to_rounding(doutputs, complex_gradient(objective, outputs))
    if head.has_log_std:
        assert_equal_to_rounding(dlog_std, complex_gradient(lambda x: objective(outputs, x), log_std))
