"""The diagonal Gaussian: sampling, log-density, entropy, and their derivative by mean and log-standard-deviation."""

import numpy as np
import pytest
import scipy.stats
from conftest import assert_close, garbage, garbage_like, run, seeds, single, sizes
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import given

from kernels.gaussian import (
    gaussian_backward,
    gaussian_forward,
    gaussian_sample,
    state_gaussian_backward,
    state_gaussian_forward,
    state_gaussian_sample,
)


def draw(seed, rows, components):
    """means, log_std, actions, dlogprobs, dentropies."""
    rng = np.random.default_rng(seed)
    shape = (rows, components)
    log_std = 0.5 * rng.standard_normal(components)
    return rng.standard_normal(shape), log_std, rng.standard_normal(shape), *rng.standard_normal((2, rows))


def forward(means, log_std, actions):
    """logprobs, entropies."""
    rows = garbage(len(means), means.dtype)
    return run(gaussian_forward, (means, log_std, actions), rows, rows.copy())


def backward(dlogprobs, dentropies, means, log_std, actions):
    """dmeans, dlog_std."""
    inputs = (dlogprobs, dentropies, means, log_std, actions)
    return run(gaussian_backward, inputs, garbage_like(means), garbage_like(log_std))


@pytest.mark.parametrize("by", [0, 1], ids=["mean", "log_std"])
@given(seeds, sizes, sizes)
def test_gradient_of_every_coordinate(by, seed, rows, components):
    means, log_std, actions, dlogprobs, dentropies = draw(seed, rows, components)

    def loss():
        logprobs, entropies = forward(means, log_std, actions)
        return dlogprobs @ logprobs + dentropies @ entropies

    analytic = backward(dlogprobs, dentropies, means, log_std, actions)[by]
    assert_gradient(analytic, numeric_gradient(loss, (means, log_std)[by]))


@given(seeds, sizes, sizes)
def test_agrees_with_scipy(seed, rows, components):
    means, log_std, actions, _, _ = draw(seed, rows, components)
    logprobs, entropies = forward(means, log_std, actions)
    normal = scipy.stats.norm(means, np.exp(log_std))
    assert_close(logprobs, normal.logpdf(actions).sum(axis=1))
    assert_close(entropies, normal.entropy().sum(axis=1))


def sample(means, log_std, normals):
    """actions, logprobs."""
    return run(gaussian_sample, (means, log_std, normals), garbage_like(means), garbage(len(means), means.dtype))


@given(seeds, sizes, sizes)
def test_a_sample_is_shifted_and_scaled_and_knows_its_density(seed, rows, components):
    means, log_std, normals, _, _ = draw(seed, rows, components)
    actions, logprobs = sample(means, log_std, normals)
    assert_close(actions, means + np.exp(log_std) * normals)
    assert_close(logprobs, forward(means, log_std, actions)[0])


@given(seeds, sizes, sizes)
def test_the_density_is_that_of_the_rounded_action(seed, rows, components):
    """In float32 near 100, a standard deviation of e^-5 is some 900 steps wide: the action is not what was drawn."""
    means, _, normals, _, _ = draw(seed, rows, components)
    means, log_std = single(100 + means, np.full(components, -5.0))
    actions, logprobs = sample(means, log_std, normals)
    assert np.array_equal(logprobs, forward(means, log_std, actions)[0])
    exact = scipy.stats.norm(means.astype(float), np.exp(-5)).logpdf(actions.astype(float)).sum(axis=1)
    np.testing.assert_allclose(logprobs, exact, rtol=1e-6, atol=1e-6)


@given(seeds, sizes, sizes)
def test_at_the_mean_only_the_spread_is_pushed(seed, rows, components):
    means, log_std, _, dlogprobs, dentropies = draw(seed, rows, components)
    dmeans, dlog_std = backward(dlogprobs, dentropies, means, log_std, means.copy())
    assert not dmeans.any()
    assert_close(dlog_std, np.full(components, np.sum(dentropies - dlogprobs)))


def test_a_tiny_standard_deviation_stays_finite():
    means, actions = np.zeros((1, 1), np.float32), np.full((1, 1), 1e-6, np.float32)
    log_std = np.full(1, -12, np.float32)
    logprobs, _ = forward(means, log_std, actions)
    np.testing.assert_allclose(logprobs, scipy.stats.norm(0, np.exp(-12)).logpdf(1e-6), rtol=1e-5)


@given(seeds, sizes, sizes)
def test_float32_agrees_with_float64(seed, rows, components):
    means, log_std, actions, dlogprobs, dentropies = draw(seed, rows, components)
    exact = (*forward(means, log_std, actions), *backward(dlogprobs, dentropies, means, log_std, actions))
    means, log_std, actions, dlogprobs, dentropies = single(means, log_std, actions, dlogprobs, dentropies)
    rough = (*forward(means, log_std, actions), *backward(dlogprobs, dentropies, means, log_std, actions))
    for one, other in zip(rough, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


# With other standard deviations in each row.


def of_state(seed, rows, components):
    """means, log_std, actions, dlogprobs, dentropies; log_std is (B, A)."""
    means, _, actions, *upstream = draw(seed, rows, components)
    return means, 0.5 * np.random.default_rng(seed + 1).standard_normal(means.shape), actions, *upstream


def state_forward(means, log_std, actions):
    """logprobs, entropies."""
    rows = garbage(len(means), means.dtype)
    return run(state_gaussian_forward, (means, log_std, actions), rows, rows.copy())


@pytest.mark.parametrize("by", [0, 1], ids=["mean", "log_std"])
@given(seeds, sizes, sizes)
def test_gradient_of_every_coordinate_in_each_row(by, seed, rows, components):
    means, log_std, actions, dlogprobs, dentropies = of_state(seed, rows, components)

    def loss():
        logprobs, entropies = state_forward(means, log_std, actions)
        return dlogprobs @ logprobs + dentropies @ entropies

    inputs = (dlogprobs, dentropies, means, log_std, actions)
    analytic = run(state_gaussian_backward, inputs, garbage_like(means), garbage_like(log_std))[by]
    assert_gradient(analytic, numeric_gradient(loss, (means, log_std)[by]))


@given(seeds, sizes, sizes)
def test_each_row_agrees_with_scipy(seed, rows, components):
    means, log_std, normals, _, _ = of_state(seed, rows, components)
    rows_of = garbage(len(means), means.dtype)
    actions, sampled = run(state_gaussian_sample, (means, log_std, normals), garbage_like(means), rows_of)
    assert_close(actions, means + np.exp(log_std) * normals)
    logprobs, entropies = state_forward(means, log_std, actions)
    normal = scipy.stats.norm(means, np.exp(log_std))
    assert_close(logprobs, normal.logpdf(actions).sum(axis=1))
    assert_close(sampled, logprobs)
    assert_close(entropies, normal.entropy().sum(axis=1))
