"""The categorical distribution as the model uses it; its kernels have their own tests."""

import numpy as np
import pytest
import scipy.special

from ppo_np.distributions import Categorical

ROWS, ACTIONS = 500, 3


@pytest.fixture
def logits():
    return np.tile(np.random.default_rng(0).standard_normal(ACTIONS), (ROWS, 1))


def test_sampling_uses_one_uniform_number_a_row_of_the_generator(logits):
    pi, rng, same = Categorical(ACTIONS, ROWS, np.float64), np.random.default_rng(1), np.random.default_rng(1)
    pi.sample(logits, rng)
    cumulative = np.cumsum(scipy.special.softmax(logits, axis=1), axis=1)
    assert np.array_equal(pi.actions, (cumulative <= same.random(ROWS)[:, None]).sum(axis=1))
    assert rng.random() == same.random()
    np.testing.assert_allclose(pi.logprobs, scipy.special.log_softmax(logits, axis=1)[np.arange(ROWS), pi.actions])


def test_mode_is_the_largest_logit(logits):
    pi = Categorical(ACTIONS, ROWS, np.float64)
    pi.mode(logits)
    assert (pi.actions == logits[0].argmax()).all()


def test_forward_and_backward_belong_together(logits):
    pi, dlogits = Categorical(ACTIONS, ROWS, np.float64), np.full((ROWS, ACTIONS), np.nan)
    actions = np.arange(ROWS) % ACTIONS
    pi.forward(logits, actions)
    p = scipy.special.softmax(logits[0])
    np.testing.assert_allclose(pi.entropies, -(p * np.log(p)).sum())
    pi.backward(np.full(ROWS, 2.0), np.zeros(ROWS), actions, dlogits)
    np.testing.assert_allclose(dlogits, 2 * (np.eye(ACTIONS)[actions] - p))
