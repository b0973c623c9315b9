"""The categorical distribution: log-softmax, sampling, mode, log-probability, entropy, and their derivative."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
from conftest import JUST_BELOW_1, assert_close, both_dtypes, garbage, garbage_like, run, seeds, single, sizes
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import example, given
from hypothesis import strategies as st

from kernels.categorical import (
    categorical_backward,
    categorical_forward,
    categorical_mode,
    categorical_sample,
    log_softmax,
)

# Its exponential overflows in float64 as well as in float32.
EXTREME = 1e4


def draw(seed, rows, num_actions, scale=2.0):
    """logits, actions, dlogprobs, dentropies."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((rows, num_actions))
    return logits, rng.integers(num_actions, size=rows), rng.standard_normal(rows), rng.standard_normal(rows)


def log_probs_of(logits):
    return run(log_softmax, (logits,), garbage_like(logits))


def forward(logits, actions):
    """log_probs, logprobs, entropies."""
    rows = garbage(len(logits), logits.dtype)
    return run(categorical_forward, (logits, actions), garbage_like(logits), rows, rows.copy())


def backward(dlogprobs, dentropies, logits, actions):
    log_probs, _, entropies = forward(logits, actions)
    return run(categorical_backward, (dlogprobs, dentropies, actions, log_probs, entropies), garbage_like(logits))


def sample(logits, uniforms):
    """log_probs, actions, logprobs."""
    rows = len(logits)
    outputs = garbage_like(logits), garbage(rows, np.int64), garbage(rows, logits.dtype)
    return run(categorical_sample, (logits, np.asarray(uniforms, np.float64)), *outputs)


def sample_one(probabilities, uniform, dtype=np.float64):
    """The action drawn from the given probabilities."""
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log([probabilities]), -EXTREME).astype(dtype)
    return sample(logits, [uniform])[1][0]


def mode(logits):
    return run(categorical_mode, (logits,), garbage(len(logits), np.int64))


@given(seeds, sizes, sizes)
@example(0, 1, 4)
@example(0, 4, 1)
def test_gradient_of_every_logit(seed, rows, num_actions):
    logits, actions, dlogprobs, dentropies = draw(seed, rows, num_actions, scale=1.0)

    def loss():
        _, logprobs, entropies = forward(logits, actions)
        return np.dot(dlogprobs, logprobs) + np.dot(dentropies, entropies)

    assert_gradient(backward(dlogprobs, dentropies, logits, actions), numeric_gradient(loss, logits))


@given(seeds, sizes, sizes)
def test_gradient_agrees_with_the_jacobian_of_softmax(seed, rows, num_actions):
    logits, actions, dlogprobs, dentropies = draw(seed, rows, num_actions)
    expected = np.zeros_like(logits)
    for b, p in enumerate(scipy.special.softmax(logits, axis=1)):
        jacobian = np.diag(p) - np.outer(p, p)
        dlogprobs_dp = np.zeros(num_actions)
        dlogprobs_dp[actions[b]] = 1 / p[actions[b]]
        expected[b] = jacobian @ (dlogprobs[b] * dlogprobs_dp - dentropies[b] * (np.log(p) + 1))
    assert_close(backward(dlogprobs, dentropies, logits, actions), expected, 1e-11)


@given(seeds, sizes, sizes)
def test_rows_of_the_gradient_sum_to_zero(seed, rows, num_actions):
    logits, actions, dlogprobs, dentropies = draw(seed, rows, num_actions)
    assert_close(backward(dlogprobs, dentropies, logits, actions).sum(axis=1), np.zeros(rows))


@given(seeds, sizes, sizes)
def test_forward_agrees_with_scipy(seed, rows, num_actions):
    logits, actions, _, _ = draw(seed, rows, num_actions)
    log_probs, logprobs, entropies = forward(logits, actions)
    expected = scipy.special.log_softmax(logits, axis=1)
    assert_close(log_probs, expected)
    assert_close(log_probs_of(logits), expected)
    assert_close(logprobs, expected[np.arange(rows), actions])
    assert_close(entropies, scipy.stats.entropy(np.exp(expected), axis=1))


@given(seeds, sizes, sizes, st.floats(-EXTREME, EXTREME))
def test_a_constant_added_to_all_logits_changes_nothing(seed, rows, num_actions, constant):
    logits, _, _, _ = draw(seed, rows, num_actions)
    assert_close(log_probs_of(logits + constant), log_probs_of(logits), 1e-10)


@both_dtypes
def test_extreme_logits_do_not_overflow(dtype):
    logits = np.array([[EXTREME, -EXTREME, 0], [0, EXTREME, -EXTREME], [-EXTREME] * 3], dtype)
    actions = np.array([1, 2, 2])
    log_probs, logprobs, entropies = forward(logits, actions)
    third, two = -math.log(3), -2 * EXTREME
    assert_close(log_probs, [[0, two, -EXTREME], [-EXTREME, 0, two], [third] * 3], 1e-6)
    assert_close(logprobs, [two, two, third], 1e-6)
    assert_close(entropies, [0, 0, math.log(3)], 1e-6)
    ones = np.ones(3, dtype)
    expected = [[-1, 1, 0], [0, -1, 1], [-1 / 3, -1 / 3, 2 / 3]]
    assert_close(backward(ones, ones, logits, actions), expected, 1e-6)


def test_float32_log_softmax_keeps_its_digits_far_from_zero():
    logits = np.full((1, 2), EXTREME, np.float32)
    assert_close(log_probs_of(logits), np.full((1, 2), -math.log(2)), 1e-6)


@given(seeds, sizes, sizes)
def test_entropy_is_between_0_and_log_k(seed, rows, num_actions):
    logits, actions, _, _ = draw(seed, rows, num_actions, scale=5.0)
    _, _, entropies = forward(logits, actions)
    assert np.all(entropies >= 0)
    assert np.all(entropies <= math.log(num_actions) + 1e-12)


@given(sizes)
def test_equal_logits_give_the_largest_entropy_and_no_gradient(num_actions):
    logits, actions = np.full((1, num_actions), 3.0), np.zeros(1, np.int64)
    log_probs, _, entropies = forward(logits, actions)
    assert_close(log_probs, np.full((1, num_actions), -math.log(num_actions)))
    assert_close(entropies, [math.log(num_actions)])
    assert_close(backward(np.zeros(1), np.ones(1), logits, actions), np.zeros((1, num_actions)))


def test_one_action_is_certain():
    logits, actions = np.array([[5.0]]), np.zeros(1, np.int64)
    for result in (*forward(logits, actions), backward(np.ones(1), np.ones(1), logits, actions)):
        np.testing.assert_array_equal(result, np.zeros_like(result))
    assert sample(logits, [JUST_BELOW_1])[1] == [0]
    assert mode(logits) == [0]


def test_log_softmax_may_overwrite_its_input():
    logits = draw(0, 3, 4)[0]
    expected = log_probs_of(logits)
    log_softmax(logits, logits)
    np.testing.assert_array_equal(logits, expected)


def test_probabilities_by_hand():
    logits, actions = np.log([[1.0, 2.0, 5.0]]), np.array([1])
    log_probs, logprobs, entropies = forward(logits, actions)
    assert_close(np.exp(log_probs), [[0.125, 0.25, 0.625]])
    assert_close(logprobs, [math.log(0.25)])
    assert_close(entropies, [-(0.125 * math.log(0.125) + 0.25 * math.log(0.25) + 0.625 * math.log(0.625))])
    assert_close(backward(np.array([8.0]), np.zeros(1), logits, actions), [[-1, 6, -5]])


@both_dtypes
@pytest.mark.parametrize(
    ("uniform", "action"),
    [(0.0, 0), (0.09, 0), (0.11, 1), (0.29, 1), (0.31, 2), (0.59, 2), (0.61, 3), (0.99, 3), (JUST_BELOW_1, 3)],
)
def test_each_uniform_number_has_its_action(dtype, uniform, action):
    assert sample_one([0.1, 0.2, 0.3, 0.4], uniform, dtype) == action


@both_dtypes
def test_an_action_of_probability_zero_is_not_drawn_at_0(dtype):
    assert sample_one([0, 0, 1], 0.0, dtype) == 2
    assert sample_one([0, 0.5, 0.5], 0.0, dtype) == 1
    assert sample_one([1, 0, 0], 0.5, dtype) == 0


@both_dtypes
@pytest.mark.parametrize("num_actions", [1, 2, 3])
def test_a_diverged_network_still_draws_an_action_that_exists(dtype, num_actions):
    _, actions, logprobs = sample(np.full((1, num_actions), np.nan, dtype), [0.5])
    assert 0 <= actions[0] < num_actions
    # Of a single action the log-probability is 0 whatever the logit: log(exp(x)) - x, and LLVM may see that.
    assert np.isnan(logprobs[0]) or (num_actions == 1 and logprobs[0] == 0)


@given(seeds)
def test_an_action_of_probability_zero_is_not_drawn_just_below_1(seed):
    logits, _, _, _ = draw(seed, 1, 4)
    logits[:, -1] = -EXTREME
    for dtype in (np.float32, np.float64):
        assert sample(logits.astype(dtype), [JUST_BELOW_1])[1] != [3]


@given(seeds, sizes)
def test_sampled_frequencies_are_the_probabilities(seed, num_actions):
    logits, _, _, _ = draw(seed, 1, num_actions)
    draws = 200
    _, actions, _ = sample(np.tile(logits, (draws, 1)), (np.arange(draws) + 0.5) / draws)
    frequencies = np.bincount(actions, minlength=num_actions) / draws
    np.testing.assert_allclose(frequencies, scipy.special.softmax(logits[0]), atol=1 / draws)
    assert np.all(np.diff(actions) >= 0)


@given(seeds, sizes, sizes)
def test_sampling_inverts_the_cumulative_distribution(seed, rows, num_actions):
    logits, _, _, _ = draw(seed, rows, num_actions)
    uniforms = np.random.default_rng(seed + 1).random(rows)
    cumulative = np.cumsum(scipy.special.softmax(logits, axis=1), axis=1)
    log_probs, actions, logprobs = sample(logits, uniforms)
    np.testing.assert_array_equal(actions, (cumulative <= uniforms[:, None]).sum(axis=1))
    evaluated_log_probs, evaluated_logprobs, _ = forward(logits, actions)
    np.testing.assert_array_equal(log_probs, evaluated_log_probs)
    np.testing.assert_array_equal(logprobs, evaluated_logprobs)


@given(seeds, sizes, sizes)
def test_mode_is_the_first_of_the_largest(seed, rows, num_actions):
    logits, _, _, _ = draw(seed, rows, num_actions)
    for candidate in (logits, -np.abs(logits), np.round(logits / 2)):
        np.testing.assert_array_equal(mode(candidate), np.argmax(candidate, axis=1))


@given(seeds)
def test_float32_agrees_with_float64(seed):
    logits, actions, dlogprobs, dentropies = draw(seed, 4, 5)
    logits_, dlogprobs_, dentropies_ = single(logits, dlogprobs, dentropies)
    for rough, exact in zip(forward(logits_, actions), forward(logits, actions), strict=True):
        assert_close(rough, exact, 1e-5)
    exact = backward(dlogprobs, dentropies, logits, actions)
    assert_close(backward(dlogprobs_, dentropies_, logits_, actions), exact, 1e-5)
    uniforms = np.random.default_rng(seed).random(4)
    np.testing.assert_array_equal(sample(logits_, uniforms)[1], sample(logits, uniforms)[1])
    np.testing.assert_array_equal(mode(logits_), mode(logits))
