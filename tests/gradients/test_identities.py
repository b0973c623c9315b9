"""Statements of docs/gradients.md that are no derivative of a kernel, checked by number."""

import numpy as np
import pytest
from finite_difference import H, assert_gradient
from hypothesis import given
from hypothesis import strategies as st

from kernels.advantage import gae
from kernels.categorical import categorical_backward, categorical_forward
from kernels.optimizer import clip_by_global_norm, global_norm

seeds = st.integers(0, 2**32 - 1)


def clipped(grads, max_norm):
    """A copy of the gradient, clipped."""
    grads = grads.copy()
    clip_by_global_norm(grads, global_norm(grads), max_norm)
    return grads


@pytest.mark.parametrize("fraction", [0.3, 3.0], ids=["clipped", "not clipped"])
@given(seeds, st.integers(1, 6))
def test_jacobian_of_clipping_forgets_the_length(fraction, seed, length):
    """Section 15: m / |g| (I - g g^T / |g|^2) where it clips, I where it does not."""
    grads = np.random.default_rng(seed).uniform(0.5, 1.5, length)
    norm = np.linalg.norm(grads)
    max_norm = fraction * norm
    steps = H * np.eye(length)
    numeric = np.array([(clipped(grads + h, max_norm) - clipped(grads - h, max_norm)) / (2 * H) for h in steps])
    direction = grads / norm
    expected = fraction * (np.eye(length) - np.outer(direction, direction)) if fraction < 1 else np.eye(length)
    assert_gradient(expected, numeric)


@given(seeds, st.integers(1, 8), st.floats(0, 1), st.floats(0, 0.99))
def test_gae_is_the_weighted_sum_of_n_step_estimates(seed, steps, gamma, gae_lambda):
    """Section 3, for an episode that terminates: the estimates that reach its end are the same and share weights."""
    rng = np.random.default_rng(seed)
    rewards, values = rng.standard_normal((steps, 1)), rng.standard_normal((steps + 1, 1))
    values[-1] = 0
    terminations, truncations = np.zeros((2, steps, 1), bool)
    terminations[-1] = True
    final_values, advantages, returns = np.zeros((3, steps, 1))
    gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda, advantages, returns)

    for t in range(steps):
        longest = steps - t
        estimates = [
            sum(gamma**i * rewards[t + i, 0] for i in range(n)) + gamma**n * values[t + n, 0] - values[t, 0]
            for n in range(1, longest + 1)
        ]
        weights = [(1 - gae_lambda) * gae_lambda ** (n - 1) for n in range(1, longest)] + [gae_lambda ** (longest - 1)]
        assert sum(weights) == pytest.approx(1)
        assert advantages[t, 0] == pytest.approx(np.dot(weights, estimates), abs=1e-12)


@given(seeds, st.integers(2, 5))
def test_the_expected_score_is_zero(seed, num_actions):
    """Equation 1: sum_a pi(a) grad log pi(a) = 0, for all actions of one state as the rows of a batch."""
    logits = np.tile(np.random.default_rng(seed).standard_normal(num_actions), (num_actions, 1))
    actions = np.arange(num_actions)
    log_probs, dlogits, (logprobs, entropies) = np.zeros_like(logits), np.zeros_like(logits), np.zeros((2, num_actions))
    categorical_forward(logits, actions, log_probs, logprobs, entropies)
    categorical_backward(np.exp(logprobs), np.zeros(num_actions), actions, log_probs, entropies, dlogits)
    np.testing.assert_allclose(dlogits.sum(axis=0), 0, atol=1e-15)
    assert np.abs(dlogits).max() > 0.01
