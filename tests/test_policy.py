"""Predicting: one observation or a batch, greedy or drawn."""

import numpy as np
import pytest
from gymnasium import spaces

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.policy import Policy

SMALL = PPOConfig(shared_sizes=(8,))


@pytest.fixture
def policy():
    policy = Policy(spaces.Box(-1, 1, (3,)), spaces.Discrete(4, start=10), SMALL, np.random.default_rng(0))
    policy.model.params[:] = np.random.default_rng(1).standard_normal(policy.model.params.size)
    return policy


def test_a_batch_equals_its_rows(policy):
    obs = np.random.default_rng(2).standard_normal((6, 3))
    batch = policy.predict(obs)
    assert batch.shape == (6,)
    assert batch.tolist() == [policy.predict(row) for row in obs]
    assert set(batch) <= {10, 11, 12, 13}


def test_greedy_is_the_largest_logit(policy):
    obs = np.random.default_rng(3).standard_normal((50, 3))
    batch = policy.model.batch(50)
    batch.obs[:] = obs
    policy.model.forward(batch)
    assert np.array_equal(policy.predict(obs), 10 + batch.logits.argmax(axis=1))


def test_drawn_actions_follow_the_distribution(policy):
    obs = np.tile(np.float32([0.1, -0.2, 0.3]), (20_000, 1))
    drawn = policy.predict(obs, deterministic=False, rng=np.random.default_rng(4)) - 10
    batch = policy.model.batch(1)
    batch.obs[:] = obs[0]
    policy.model.forward(batch)
    expected = np.exp(batch.logits[0] - np.log(np.exp(batch.logits[0]).sum()))
    np.testing.assert_allclose(
        np.bincount(drawn, minlength=4) / len(drawn), expected, atol=4 * 0.5 / np.sqrt(len(drawn))
    )


def test_the_same_generator_draws_the_same(policy):
    obs = np.zeros((30, 3))
    first, second = (policy.predict(obs, deterministic=False, rng=np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, second)
    assert len(set(first)) > 1


@pytest.mark.parametrize("shape", [(), (2,), (4, 2), (1, 1, 3)])
def test_a_wrong_shape_is_refused(policy, shape):
    with pytest.raises(UserError, match=r"obs has shape .* but it must be \(3,\) or \(B, 3,\)"):
        policy.predict(np.zeros(shape))


def test_drawing_needs_a_generator(policy):
    with pytest.raises(UserError, match="rng is None"):
        policy.predict(np.zeros(3), deterministic=False)


def test_a_single_discrete_observation():
    policy = Policy(spaces.Discrete(3), spaces.Discrete(2), SMALL, np.random.default_rng(0))
    assert policy.predict(2) in (0, 1)
    assert policy.predict(np.array([0, 1, 2])).shape == (3,)
