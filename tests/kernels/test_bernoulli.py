"""Independent bits: sampling, mode, log-probability, entropy, and their derivative."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
from conftest import JUST_BELOW_1, assert_close, both_dtypes, garbage, garbage_like, run, seeds, single, sizes
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import given

from kernels.bernoulli import bernoulli_backward, bernoulli_forward, bernoulli_mode, bernoulli_sample


def draw(seed, rows, bits):
    """logits, actions, dlogprobs, dentropies."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((rows, bits))
    return logits, rng.integers(2, size=(rows, bits)), *rng.standard_normal((2, rows))


def forward(logits, actions):
    """logprobs, entropies."""
    rows = garbage(len(logits), logits.dtype)
    return run(bernoulli_forward, (logits, actions), rows, rows.copy())


def backward(dlogprobs, dentropies, logits, actions):
    return run(bernoulli_backward, (dlogprobs, dentropies, logits, actions), garbage_like(logits))


def sample(logits, uniforms):
    """actions, logprobs."""
    outputs = garbage(logits.shape, np.int64), garbage(len(logits), logits.dtype)
    return run(bernoulli_sample, (logits, uniforms), *outputs)


@given(seeds, sizes, sizes)
def test_gradient_of_every_coordinate(seed, rows, bits):
    logits, actions, dlogprobs, dentropies = draw(seed, rows, bits)

    def loss():
        logprobs, entropies = forward(logits, actions)
        return dlogprobs @ logprobs + dentropies @ entropies

    assert_gradient(backward(dlogprobs, dentropies, logits, actions), numeric_gradient(loss, logits))


@given(seeds, sizes, sizes)
def test_agrees_with_scipy(seed, rows, bits):
    logits, actions, _, _ = draw(seed, rows, bits)
    logprobs, entropies = forward(logits, actions)
    bernoulli = scipy.stats.bernoulli(scipy.special.expit(logits))
    assert_close(logprobs, bernoulli.logpmf(actions).sum(axis=1))
    assert_close(entropies, bernoulli.entropy().sum(axis=1))


@given(seeds, sizes, sizes)
def test_entropy_is_between_0_and_log_2_a_bit(seed, rows, bits):
    logits, actions, _, _ = draw(seed, rows, bits)
    _, entropies = forward(logits, actions)
    assert np.all(entropies > 0)
    assert np.all(entropies <= bits * math.log(2) + 1e-12)


@given(seeds, sizes, sizes)
def test_a_flipped_bit_is_a_flipped_sign(seed, rows, bits):
    logits, actions, _, _ = draw(seed, rows, bits)
    for one, other in zip(forward(logits, actions), forward(-logits, 1 - actions), strict=True):
        assert_close(one, other)


@given(seeds, sizes, sizes)
def test_a_sample_compares_and_knows_its_probability(seed, rows, bits):
    logits, _, _, _ = draw(seed, rows, bits)
    uniforms = np.random.default_rng(seed + 1).random((rows, bits))
    actions, logprobs = sample(logits, uniforms)
    assert np.array_equal(actions, uniforms < scipy.special.expit(logits))
    assert_close(logprobs, forward(logits, actions)[0])


@both_dtypes
@pytest.mark.parametrize(("logit", "bit"), [(1e4, 1), (-1e4, 0)])
@pytest.mark.parametrize("uniform", [0.0, JUST_BELOW_1])
def test_extreme_logits_neither_overflow_nor_surprise(dtype, logit, bit, uniform):
    logits = np.array([[logit]], dtype)
    actions, logprobs = sample(logits, np.array([[uniform]]))
    assert actions[0, 0] == bit
    assert logprobs[0] == 0
    assert forward(logits, 1 - actions)[0][0] == -1e4
    assert forward(logits, actions)[1][0] == 0
    assert backward(np.ones(1, dtype), np.ones(1, dtype), logits, actions)[0, 0] == 0


def test_mode():
    logits = np.array([[-0.1, 0.1, 0.0]])
    assert run(bernoulli_mode, (logits,), garbage(logits.shape, np.int64)).tolist() == [[0, 1, 0]]


@given(seeds, sizes, sizes)
def test_float32_agrees_with_float64(seed, rows, bits):
    logits, actions, dlogprobs, dentropies = draw(seed, rows, bits)
    exact = (*forward(logits, actions), backward(dlogprobs, dentropies, logits, actions))
    logits, dlogprobs, dentropies = single(logits, dlogprobs, dentropies)
    rough = (*forward(logits, actions), backward(dlogprobs, dentropies, logits, actions))
    for one, other in zip(rough, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
