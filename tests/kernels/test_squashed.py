"""The squashed Gaussian: density in the Box, the estimate of the entropy, and their derivatives."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from conftest import assert_close, garbage, garbage_like, run, seeds, single, sizes
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import given

from kernels.squashed import squashed_backward, squashed_forward, squashed_sample

LOG_2PI_E = np.log(2 * np.pi * np.e)


def draw(seed, rows, components):
    """means, log_std, actions (u and xi, independent of each other), log_width, dlogprobs, dentropies."""
    rng = np.random.default_rng(seed)
    shape = (rows, components)
    means, u, xi, log_std = rng.standard_normal((4, *shape))
    return (
        means, 0.5 * log_std, np.hstack([u, xi]), rng.standard_normal(components), *rng.standard_normal((2, rows)),
    )  # fmt: skip


def forward(means, log_std, actions, log_width):
    """logprobs, entropies."""
    rows = garbage(len(means), means.dtype)
    return run(squashed_forward, (means, log_std, actions, log_width), rows, rows.copy())


def backward(dlogprobs, dentropies, means, log_std, actions):
    """dmeans, dlog_std."""
    inputs = (dlogprobs, dentropies, means, log_std, actions)
    return run(squashed_backward, inputs, garbage_like(means), garbage_like(means))


@pytest.mark.parametrize("by", [0, 1], ids=["mean", "log_std"])
@given(seeds, sizes, sizes)
def test_gradient_of_every_coordinate(by, seed, rows, components):
    means, log_std, actions, log_width, dlogprobs, dentropies = draw(seed, rows, components)

    def loss():
        logprobs, entropies = forward(means, log_std, actions, log_width)
        return dlogprobs @ logprobs + dentropies @ entropies

    analytic = backward(dlogprobs, dentropies, means, log_std, actions)[by]
    assert_gradient(analytic, numeric_gradient(loss, (means, log_std)[by]))


def log_density(action, mean, std, low, high):
    """Of one number in a Box: that of its latent number by SciPy, minus the logarithm of the slope."""
    y = 2 * (action - low) / (high - low) - 1
    return scipy.stats.norm(mean, std).logpdf(np.arctanh(y)) - np.log((high - low) / 2 * (1 - y**2))


@given(seeds, sizes, sizes)
def test_the_density_is_that_in_the_box(seed, rows, components):
    means, log_std, actions, log_width, _, _ = draw(seed, rows, components)
    low, high = np.full(components, -0.5), -0.5 + np.exp(log_width)
    logprobs, _ = forward(means, log_std, actions, log_width)
    in_box = low + (high - low) * (np.tanh(actions[:, :components]) + 1) / 2
    assert_close(logprobs, log_density(in_box, means, np.exp(log_std), low, high).sum(axis=1), 1e-9)


def test_the_density_has_the_integral_1():
    def density(action):
        u = np.arctanh(2 * (action - 1) / 4 - 1)
        actions = np.array([[u, 0.0]])
        return np.exp(forward(np.array([[0.4]]), np.array([[-0.3]]), actions, np.log([4.0]))[0][0])

    assert scipy.integrate.quad(density, 1, 5)[0] == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where_tanh_is_1_the_density_is_still_exact(dtype):
    """log(1 - tanh(u)^2) would be log 0; it is 2 log 2 - 2 |u| up to e^(-2 |u|)."""
    for u in (30.0, -30.0, 400.0):
        means, actions = np.full((1, 1), u, dtype), np.array([[u, 0.25]], dtype)
        zeros = np.zeros((1, 1), dtype)
        logprobs, entropies = forward(means, zeros, actions, np.zeros(1))
        slope = -np.log(2) + 2 * np.log(2) - 2 * abs(u)
        np.testing.assert_allclose(logprobs, -np.log(2 * np.pi) / 2 - slope, rtol=1e-6)
        np.testing.assert_allclose(entropies, LOG_2PI_E / 2 + slope - np.sign(u) * 0.5, rtol=1e-6)
        dmeans, dlog_std = backward(zeros[0], np.ones(1, dtype), means, zeros, actions)
        assert (dmeans[0, 0], dlog_std[0, 0]) == (-2 * np.sign(u), 1 - 0.5 * np.sign(u))


def sample(means, log_std, log_width, normals):
    """actions, logprobs."""
    actions = garbage((len(means), 2 * means.shape[1]), means.dtype)
    return run(squashed_sample, (means, log_std, log_width, normals), actions, garbage(len(means), means.dtype))


@given(seeds, sizes, sizes)
def test_a_sample_holds_the_latent_number_and_its_noise(seed, rows, components):
    means, log_std, actions, log_width, _, _ = draw(seed, rows, components)
    normals = actions[:, components:].copy()
    drawn, logprobs = sample(means, log_std, log_width, normals)
    assert_close(drawn, np.hstack([means + np.exp(log_std) * normals, normals]))
    assert_close(logprobs, forward(means, log_std, drawn, log_width)[0])
    means, log_std = single(means, log_std)
    drawn, logprobs = sample(means, log_std, log_width, normals)
    np.testing.assert_allclose(logprobs, forward(means, log_std, drawn, log_width)[0], rtol=1e-6, atol=1e-6)


def test_on_policy_the_entropy_is_minus_the_samples_log_density_with_the_mean_of_half_zeta_squared():
    means, log_std, actions, log_width, _, _ = draw(0, 6, 3)
    normals = actions[:, 3:].copy()
    drawn, logprobs = sample(means, log_std, log_width, normals)
    _, entropies = forward(means, log_std, drawn, log_width)
    assert_close(entropies, -logprobs + (0.5 - 0.5 * normals**2).sum(axis=1))


# The entropy by integration: H(mu, sigma) = H(Gauss) + integral of N(u) log|da/du|(u).
MEAN, LOG_STD, WIDTH = 0.7, -0.4, 4.0
MANY = 20_000


def exact_entropy(mean, log_std):
    normal = scipy.stats.norm(mean, np.exp(log_std))

    def integrand(u):
        return normal.pdf(u) * np.log(WIDTH / 2 / np.cosh(u) ** 2)

    span = mean - 12 * np.exp(log_std), mean + 12 * np.exp(log_std)
    return LOG_2PI_E / 2 + log_std + scipy.integrate.quad(integrand, *span, epsabs=1e-12)[0]


def exact_slopes(h=1e-4):
    """The derivatives of the entropy with respect to mean and log_std."""
    of_mean = exact_entropy(MEAN + h, LOG_STD) - exact_entropy(MEAN - h, LOG_STD)
    return np.array([of_mean, exact_entropy(MEAN, LOG_STD + h) - exact_entropy(MEAN, LOG_STD - h)]) / (2 * h)


def many_rows():
    """means, log_std, noise, of MANY rows of one distribution."""
    noise = np.random.default_rng(0).standard_normal((MANY, 1))
    return np.full((MANY, 1), MEAN), np.full((MANY, 1), LOG_STD), noise


def test_the_mean_of_the_estimates_is_the_entropy_whatever_policy_has_drawn_u():
    means, log_std, noise = many_rows()
    for u in (means + np.exp(log_std) * noise, 3 - noise):
        _, entropies = forward(means, log_std, np.hstack([u, noise]), np.log([WIDTH]))
        error = entropies.std() / np.sqrt(MANY)
        assert abs(entropies.mean() - exact_entropy(MEAN, LOG_STD)) < 4 * error
        assert error < 0.01


def test_the_mean_of_the_gradients_is_the_gradient_of_the_entropy():
    means, log_std, noise = many_rows()
    actions = np.hstack([means + np.exp(log_std) * noise, noise])
    gradients = np.hstack(backward(np.zeros(MANY), np.ones(MANY), means, log_std, actions))
    error = gradients.std(axis=0) / np.sqrt(MANY)
    assert (np.abs(gradients.mean(axis=0) - exact_slopes()) < 4 * error).all()
    assert (error < 0.02).all()
    assert (np.abs(exact_slopes()) > 0.1).all()


def test_the_gradient_of_minus_the_log_density_at_a_fixed_action_has_the_mean_0():
    """So it would teach nothing about the entropy: why xi is stored, and u does not move alone."""
    means, log_std, noise = many_rows()
    actions = np.hstack([means + np.exp(log_std) * noise, noise])
    gradients = np.hstack(backward(-np.ones(MANY), np.zeros(MANY), means, log_std, actions))
    assert (np.abs(gradients.mean(axis=0)) < 4 * gradients.std(axis=0) / np.sqrt(MANY)).all()


@given(seeds, sizes, sizes)
def test_float32_agrees_with_float64(seed, rows, components):
    means, log_std, actions, log_width, *upstream = draw(seed, rows, components)
    exact = (*forward(means, log_std, actions, log_width), *backward(*upstream, means, log_std, actions))
    means, log_std, actions, *upstream = single(means, log_std, actions, *upstream)
    rough = (*forward(means, log_std, actions, log_width), *backward(*upstream, means, log_std, actions))
    for one, other in zip(rough, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
