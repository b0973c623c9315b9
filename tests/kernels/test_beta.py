"""The Beta distribution: sampling, mode, density and entropy in the Box, and their derivative by the outputs."""

import numpy as np
import pytest
import scipy.stats
from conftest import assert_close, both_dtypes, garbage, garbage_like, run, seeds, single, sizes
from finite_difference import assert_gradient, numeric_gradient
from hypothesis import given
from hypothesis import strategies as st

from kernels.beta import ATTEMPTS, ENDS, beta_backward, beta_forward, beta_mode, beta_sample


def draw(seed, rows, components):
    """outputs, actions, log_width, dlogprobs, dentropies."""
    rng = np.random.default_rng(seed)
    return (
        2 * rng.standard_normal((rows, 2 * components)), rng.uniform(0.02, 0.98, (rows, components)),
        rng.standard_normal(components), *rng.standard_normal((2, rows)),
    )  # fmt: skip


def textbook(outputs, log_width):
    """SciPy's distributions in a Box that begins at 0, (B, A)."""
    parameters = 1 + np.logaddexp(0, outputs.astype(float))
    return scipy.stats.beta(parameters[:, 0::2], parameters[:, 1::2], scale=np.exp(log_width))


def forward(outputs, actions, log_width):
    """logprobs, entropies."""
    rows = garbage(len(outputs), outputs.dtype)
    return run(beta_forward, (outputs, actions, log_width), rows, rows.copy())


def backward(dlogprobs, dentropies, outputs, actions):
    return run(beta_backward, (dlogprobs, dentropies, outputs, actions), garbage_like(outputs))


def sample(outputs, log_width, rng):
    """actions, logprobs."""
    components = outputs.shape[1] // 2
    shape = (len(outputs), components, 2, ATTEMPTS)
    inputs = (outputs, log_width, rng.standard_normal(shape), rng.random(shape))
    return run(
        beta_sample, inputs, garbage((len(outputs), components), outputs.dtype), garbage(len(outputs), outputs.dtype)
    )


@given(seeds, sizes, sizes)
def test_gradient_of_every_coordinate(seed, rows, components):
    outputs, actions, log_width, dlogprobs, dentropies = draw(seed, rows, components)

    def loss():
        logprobs, entropies = forward(outputs, actions, log_width)
        return dlogprobs @ logprobs + dentropies @ entropies

    assert_gradient(backward(dlogprobs, dentropies, outputs, actions), numeric_gradient(loss, outputs))


@given(seeds, sizes, sizes)
def test_agrees_with_scipy(seed, rows, components):
    outputs, actions, log_width, _, _ = draw(seed, rows, components)
    logprobs, entropies = forward(outputs, actions, log_width)
    expected = textbook(outputs, log_width)
    assert_close(logprobs, expected.logpdf(actions * np.exp(log_width)).sum(axis=1), 1e-11)
    assert_close(entropies, expected.entropy().sum(axis=1), 1e-11)


@both_dtypes
@pytest.mark.parametrize("pair", [(0, 0), (-4, 3), (6, 5.5), (-30, -30), (200, 50)])
def test_samples_follow_the_distribution(dtype, pair):
    outputs = np.tile(np.array(pair, dtype), (4000, 1))
    actions, _ = sample(outputs, np.zeros(1), np.random.default_rng(1))
    parameters = textbook(outputs[:1], np.zeros(1))
    assert scipy.stats.kstest(actions[:, 0], lambda x: parameters.cdf(x)[0]).pvalue > 1e-4
    assert ((actions > 0) & (actions < 1)).all()


def gamma(shape, normals, uniforms):
    """The first accepted proposal of Marsaglia and Tsang (2000, section 2)."""
    d = shape - 1 / 3
    c = 1 / (3 * d**0.5)
    for x, u in zip(normals, uniforms, strict=True):
        v = (1 + c * x) ** 3
        if v > 0 and np.log(1 - u) < x * x / 2 + d - d * v + d * np.log(v):
            return d * v
    return d


@given(seeds, sizes, sizes, st.sampled_from([0.0, -3.0, 2.0]), st.sampled_from([1.0, 3.0]))
def test_samples_are_made_of_the_first_accepted_gamma_numbers(seed, rows, components, shift, spread):
    """With a wider spread than that of normal numbers, many proposals are rejected."""
    outputs, _, log_width, _, _ = draw(seed, rows, components)
    outputs += shift
    rng, shape = np.random.default_rng(seed), (rows, components, 2, ATTEMPTS)
    normals, uniforms = spread * rng.standard_normal(shape), rng.random(shape)
    inputs = (outputs, log_width, normals, uniforms)
    actions, _ = run(beta_sample, inputs, garbage((rows, components), float), garbage(rows, float))
    parameters = 1 + np.logaddexp(0, outputs.reshape(rows, components, 2))
    for place in np.ndindex(rows, components):
        one, other = map(gamma, parameters[place], normals[place], uniforms[place])
        assert_close(actions[place], np.clip(one / (one + other), ENDS, 1 - ENDS))


@given(seeds, sizes, sizes)
def test_a_sample_knows_its_density(seed, rows, components):
    outputs, _, log_width, _, _ = draw(seed, rows, components)
    for exact in (outputs, *single(outputs)):
        actions, logprobs = sample(exact, log_width, np.random.default_rng(seed))
        np.testing.assert_allclose(logprobs, forward(exact, actions, log_width)[0], rtol=1e-6, atol=1e-6)


@both_dtypes
def test_actions_are_strictly_between_the_bounds_and_their_density_is_finite(dtype):
    for pair in ((1e4, -700), (-700, 1e4), (3e38, 1e-30), (-80, 80)):
        outputs = np.tile(np.array(pair, dtype), (50, 1))
        actions, logprobs = sample(outputs, np.zeros(1), np.random.default_rng(2))
        run(beta_mode, (outputs,), mode := garbage_like(actions))
        for drawn in (actions, mode):
            assert (drawn >= ENDS).all()
            assert (drawn <= 1 - ENDS).all()
            assert (drawn.astype(np.float32) < 1).all()
        assert np.isfinite(np.float64(logprobs)).all() or pair[0] == 3e38


def test_if_no_attempt_is_accepted_the_number_is_near_the_mean():
    outputs, never = np.array([[3.0, 1.0]]), np.full((1, 1, 2, ATTEMPTS), -9.0)  # 1 + xi / sqrt(9 d) < 0
    actions, _ = run(beta_sample, (outputs, np.zeros(1), never, 0 * never), garbage((1, 1), float), garbage(1, float))
    alpha, beta = 1 + np.logaddexp(0, outputs[0])
    assert_close(actions, np.full((1, 1), (alpha - 1 / 3) / (alpha + beta - 2 / 3)))


@given(seeds, sizes, sizes)
def test_the_mode_is_the_most_probable_action(seed, rows, components):
    outputs, actions, log_width, _, _ = draw(seed, rows, components)
    mode = run(beta_mode, (outputs,), garbage_like(actions))
    parameters = 1 + np.logaddexp(0, outputs)
    alpha, beta = parameters[:, 0::2], parameters[:, 1::2]
    assert_close(mode, (alpha - 1) / (alpha + beta - 2))
    assert (forward(outputs, mode, log_width)[0] >= forward(outputs, actions, log_width)[0]).all()


def test_the_mode_of_the_uniform_distribution_is_its_mean():
    assert run(beta_mode, (np.full((1, 2), -1e4),), garbage((1, 1), float)) == 0.5
    assert_close(run(beta_mode, (np.array([[-400.0, -401.0]]),), garbage((1, 1), float)), [[1 / (1 + np.exp(-1))]])


def test_the_largest_action_is_the_largest_number_below_1_of_float32():
    assert np.nextafter(np.float32(1), np.float32(0)) == 1 - ENDS


def test_numbers_of_a_hand():
    """alpha = beta = 2: the density is 6 x (1 - x)."""
    outputs = np.full((1, 2), np.log(np.e - 1))
    logprobs, _ = forward(outputs, np.array([[0.25]]), np.zeros(1))
    assert_close(np.exp(logprobs), [6 * 0.25 * 0.75])


@given(seeds, sizes, sizes)
def test_float32_agrees_with_float64(seed, rows, components):
    outputs, actions, log_width, *upstream = draw(seed, rows, components)
    exact = (*forward(outputs, actions, log_width), backward(*upstream, outputs, actions))
    outputs, actions, *upstream = single(outputs, actions, *upstream)
    rough = (*forward(outputs, actions, log_width), backward(*upstream, outputs, actions))
    for one, other in zip(rough, exact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
