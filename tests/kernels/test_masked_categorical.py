"""The categorical distribution under a mask: that of the valid logits alone, and nothing for the invalid ones."""

import math

import numpy as np
import pytest
from conftest import JUST_BELOW_1, assert_close, both_dtypes, garbage, garbage_like, run, seeds, single, sizes
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import example, given
from hypothesis import strategies as st

from kernels.categorical import categorical_backward, categorical_forward, categorical_mode, categorical_sample
from kernels.masked_categorical import (
    masked_categorical_backward,
    masked_categorical_forward,
    masked_categorical_mode,
    masked_categorical_sample,
    masked_log_softmax,
)

EXTREME = 1e4


def draw(seed, rows, num_actions, scale=2.0):
    """logits, mask, valid actions, dlogprobs, dentropies."""
    rng = np.random.default_rng(seed)
    mask = (rng.random((rows, num_actions)) < 0.5).astype(np.int8)
    actions = rng.integers(num_actions, size=rows)
    mask[np.arange(rows), actions] = 1
    return scale * rng.standard_normal((rows, num_actions)), mask, actions, *rng.standard_normal((2, rows))


def forward(logits, mask, actions):
    """log_probs, logprobs, entropies."""
    rows = garbage(len(logits), logits.dtype)
    return run(masked_categorical_forward, (logits, mask, actions), garbage_like(logits), rows, rows.copy())


def backward(dlogprobs, dentropies, logits, mask, actions):
    log_probs, _, entropies = forward(logits, mask, actions)
    inputs = dlogprobs, dentropies, mask, actions, log_probs, entropies
    return run(masked_categorical_backward, inputs, garbage_like(logits))


def sample(logits, mask, uniforms):
    """log_probs, actions, logprobs."""
    rows = len(logits)
    outputs = garbage_like(logits), garbage(rows, np.int64), garbage(rows, logits.dtype)
    return run(masked_categorical_sample, (logits, mask, np.asarray(uniforms, np.float64)), *outputs)


def mode(logits, mask):
    return run(masked_categorical_mode, (logits, mask), garbage(len(logits), np.int64))


def of_valid_logits(b, logits, mask, actions, dlogprobs, dentropies, uniforms):
    """What the kernels without a mask give for the valid logits of row b alone, put back in their places."""
    valid = np.flatnonzero(mask[b])
    short, place = logits[b : b + 1, valid].copy(), np.searchsorted(valid, actions[b : b + 1])
    log_probs, logprob, entropy, dshort = garbage_like(short), *np.full((2, 1), np.nan), garbage_like(short)
    drawn, best = garbage((2, 1), np.int64)
    categorical_sample(short, uniforms[b : b + 1], log_probs, drawn, logprob)
    categorical_mode(short, best)
    categorical_forward(short, place, log_probs, logprob, entropy)
    categorical_backward(dlogprobs[b : b + 1], dentropies[b : b + 1], place, log_probs, entropy, dshort)
    all_log_probs, dlogits = np.full(logits.shape[1], -np.inf), np.zeros(logits.shape[1])
    all_log_probs[valid], dlogits[valid] = log_probs[0], dshort[0]
    return all_log_probs, logprob[0], entropy[0], dlogits, valid[drawn[0]], valid[best[0]]


@given(seeds, sizes, sizes)
def test_it_is_the_distribution_over_the_valid_logits_alone(seed, rows, num_actions):
    logits, mask, actions, dlogprobs, dentropies = draw(seed, rows, num_actions)
    uniforms = np.random.default_rng(seed + 1).random(rows)
    found = (
        *forward(logits, mask, actions),
        backward(dlogprobs, dentropies, logits, mask, actions),
        sample(logits, mask, uniforms)[1],
        mode(logits, mask),
    )
    for b in range(rows):
        expected = of_valid_logits(b, logits, mask, actions, dlogprobs, dentropies, uniforms)
        for ours, theirs in zip(found, expected, strict=True):
            assert_close(ours[b], theirs)


@given(seeds, sizes, sizes)
@example(0, 1, 4)
@example(0, 4, 1)
def test_gradient_of_every_logit(seed, rows, num_actions):
    logits, mask, actions, dlogprobs, dentropies = draw(seed, rows, num_actions, scale=1.0)

    def loss():
        _, logprobs, entropies = forward(logits, mask, actions)
        return np.dot(dlogprobs, logprobs) + np.dot(dentropies, entropies)

    gradient = backward(dlogprobs, dentropies, logits, mask, actions)
    assert_gradient(gradient, numeric_gradient(loss, logits))
    assert (gradient[mask == 0] == 0).all()
    assert_close(gradient.sum(axis=1), np.zeros(rows))


@given(seeds, sizes, sizes)
def test_invalid_logits_have_no_influence(seed, rows, num_actions):
    logits, mask, actions, dlogprobs, dentropies = draw(seed, rows, num_actions)
    uniforms = np.random.default_rng(seed + 1).random(rows)
    before = (
        *forward(logits, mask, actions), backward(dlogprobs, dentropies, logits, mask, actions),
        *sample(logits, mask, uniforms), mode(logits, mask),
    )  # fmt: skip
    for anything in (EXTREME, -EXTREME, np.inf, -np.inf, np.nan):
        logits[mask == 0] = anything
        after = (
            *forward(logits, mask, actions), backward(dlogprobs, dentropies, logits, mask, actions),
            *sample(logits, mask, uniforms), mode(logits, mask),
        )  # fmt: skip
        np.testing.assert_equal(after, before)


@given(seeds, sizes, sizes)
def test_if_all_are_valid_the_mask_changes_nothing(seed, rows, num_actions):
    logits, mask, actions, dlogprobs, dentropies = draw(seed, rows, num_actions)
    mask[:] = 1
    log_probs, dlogits, (logprobs, entropies) = garbage_like(logits), garbage_like(logits), np.zeros((2, rows))
    categorical_forward(logits, actions, log_probs, logprobs, entropies)
    categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits)
    for ours, theirs in zip(forward(logits, mask, actions), (log_probs, logprobs, entropies), strict=True):
        assert_close(ours, theirs)
    assert_close(backward(dlogprobs, dentropies, logits, mask, actions), dlogits)


@both_dtypes
def test_the_only_valid_action_is_certain_whatever_its_logit(dtype):
    logits, mask = np.array([[EXTREME, -EXTREME, 0]], dtype), np.array([[0, 1, 0]], np.int8)
    actions, ones = np.array([1]), np.ones(1, dtype)
    log_probs, logprobs, entropies = forward(logits, mask, actions)
    np.testing.assert_array_equal(log_probs, [[-np.inf, 0, -np.inf]])
    assert (logprobs, entropies) == (0, 0)
    np.testing.assert_array_equal(backward(ones, ones, logits, mask, actions), [[0, 0, 0]])
    assert mode(logits, mask) == [1]
    for uniform in (0.0, 0.5, JUST_BELOW_1):
        assert sample(logits, mask, [uniform])[1] == [1]


@both_dtypes
def test_extreme_logits_do_not_overflow(dtype):
    logits = np.array([[EXTREME, -EXTREME, 0], [-EXTREME, EXTREME, -EXTREME]], dtype)
    mask, actions, ones = np.array([[0, 1, 1], [1, 0, 1]], np.int8), np.array([1, 2]), np.ones(2, dtype)
    log_probs, logprobs, entropies = forward(logits, mask, actions)
    half = -math.log(2)
    assert_close(log_probs, [[-np.inf, -EXTREME, 0], [half, -np.inf, half]], 1e-6)
    assert_close(logprobs, [-EXTREME, half], 1e-6)
    assert_close(entropies, [0, -half], 1e-6)
    assert_close(backward(ones, ones, logits, mask, actions), [[0, 1, -1], [-0.5, 0, 0.5]], 1e-6)


@given(seeds, sizes, sizes)
def test_mode_is_the_first_of_the_largest_valid_logits(seed, rows, num_actions):
    logits, mask, *_ = draw(seed, rows, num_actions)
    logits = np.round(logits / 2)
    np.testing.assert_array_equal(mode(logits, mask), np.argmax(np.where(mask, logits, -np.inf), axis=1))


def test_log_softmax_may_overwrite_its_input():
    logits, mask, *_ = draw(0, 3, 4)
    expected = run(masked_log_softmax, (logits, mask), garbage_like(logits))
    masked_log_softmax(logits, mask, logits)
    np.testing.assert_array_equal(logits, expected)


@given(seeds, st.integers(2, 4))
def test_an_action_of_probability_0_is_never_drawn(seed, possible):
    """The sum of all p is often a rounding error below 1, and u can be above it."""
    logits, mask = np.full((1, possible + 2), -1e4), np.ones((1, possible + 2), np.int8)
    logits[0, 1:-1] = np.random.default_rng(seed).standard_normal(possible)
    for u in (0.0, JUST_BELOW_1):
        assert sample(logits, mask, [u])[1] in range(1, possible + 1)


@both_dtypes
def test_a_diverged_network_still_draws_a_valid_action(dtype):
    logits, mask = np.full((3, 3), np.nan, dtype), np.array([[0, 1, 0], [0, 0, 1], [0, 1, 1]], np.int8)
    for actions in (sample(logits, mask, [0.5] * 3)[1], mode(logits, mask)):
        assert mask[np.arange(3), actions].all()


@given(seeds)
def test_float32_agrees_with_float64(seed):
    logits, mask, actions, dlogprobs, dentropies = draw(seed, 4, 5)
    logits_, dlogprobs_, dentropies_ = single(logits, dlogprobs, dentropies)
    for rough, exact in zip(forward(logits_, mask, actions), forward(logits, mask, actions), strict=True):
        assert_close(rough, exact, 1e-5)
    exact = backward(dlogprobs, dentropies, logits, mask, actions)
    assert_close(backward(dlogprobs_, dentropies_, logits_, mask, actions), exact, 1e-5)
    np.testing.assert_array_equal(mode(logits_, mask), mode(logits, mask))


@pytest.mark.parametrize("draws", [200_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_no_invalid_action_is_ever_drawn(draws):
    """In float32, with logits up to +-1e4 and the uniform numbers at which rounding would show."""
    rng, rows, num_actions = np.random.default_rng(draws), 1000, 6
    edges = np.array([0.0, JUST_BELOW_1, np.float32(1) - np.float32(2**-24)])
    log_probs, logprobs = np.zeros((rows, num_actions), np.float32), np.zeros(rows, np.float32)
    actions, best, all_rows = np.zeros(rows, np.int64), np.zeros(rows, np.int64), np.arange(rows)
    for _ in range(draws // rows):
        scale = 10.0 ** rng.uniform(-3, 4, (rows, 1))
        logits = (scale * rng.uniform(-1, 1, (rows, num_actions))).astype(np.float32)
        mask = (rng.random((rows, num_actions)) < rng.random((rows, 1))).astype(np.int8)
        mask[all_rows, rng.integers(num_actions, size=rows)] = 1
        uniforms = np.where(rng.random(rows) < 0.1, rng.choice(edges, rows), rng.random(rows))
        masked_categorical_sample(logits, mask, uniforms, log_probs, actions, logprobs)
        masked_categorical_mode(logits, mask, best)
        assert mask[all_rows, actions].all()
        assert mask[all_rows, best].all()
        assert np.isfinite(logprobs).all()
