"""Predicting: one observation or a batch, greedy or drawn."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import concatenate, create_empty_array

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError
from ppo_np.learning.policy import Policy

SMALL = PPOConfig(shared_sizes=(8,))
ACTION_SPACES = [
    spaces.Discrete(4, start=10),
    spaces.MultiDiscrete([[3, 2], [4, 5]], start=[[1, 2], [-3, 0]], dtype=np.int8),
    spaces.MultiBinary((2, 3)),
    spaces.Box(np.float32([-0.1, -np.inf]), np.float32([0.2, 0.05])),
    spaces.Box(-0.1, 0.1, (2, 2), np.float64),
]
NESTED = spaces.Dict(eye=spaces.Box(0, 255, (2, 2), np.uint8), rest=spaces.Tuple([spaces.Discrete(3), spaces.Text(3)]))


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
    activations = policy.model.activations(50)
    policy.model.forward(obs.astype(np.float32), activations)
    assert np.array_equal(policy.predict(obs), 10 + activations.policy_outputs.argmax(axis=1))


def test_drawn_actions_follow_the_distribution(policy):
    obs = np.tile(np.float32([0.1, -0.2, 0.3]), (20_000, 1))
    drawn = policy.predict(obs, deterministic=False, rng=np.random.default_rng(4)) - 10
    activations = policy.model.activations(1)
    policy.model.forward(obs[:1], activations)
    logits = activations.policy_outputs[0]
    expected = np.exp(logits - np.log(np.exp(logits).sum()))
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


@pytest.mark.parametrize("action_space", ACTION_SPACES, ids=str)
@pytest.mark.parametrize("deterministic", [True, False])
def test_every_action_is_in_the_space(action_space, deterministic):
    policy = Policy(NESTED, action_space, SMALL, np.random.default_rng(0))
    NESTED.seed(1)
    observations = [NESTED.sample() for _ in range(20)]
    batch = concatenate(NESTED, observations, create_empty_array(NESTED, 20))
    actions = policy.predict(batch, deterministic, rng=np.random.default_rng(2))
    assert actions.shape == (20, *action_space.shape)
    assert all(action_space.contains(action) for action in actions)
    assert action_space.contains(policy.predict(observations[0], deterministic, rng=np.random.default_rng(2)))
    if deterministic:
        singly = np.array([policy.predict(observation) for observation in observations])
        np.testing.assert_allclose(actions, singly, rtol=1e-5, atol=1e-7)


def test_greedy_in_a_box_is_the_clipped_mean():
    policy = Policy(spaces.Box(-1, 1, (3,)), spaces.Box(-0.1, 0.2, (2,)), SMALL, np.random.default_rng(0))
    tensors = policy.model.named(policy.model.params)
    tensors["policy/head/weight"][:] = 0
    tensors["policy/head/bias"][:] = [0.05, 0.7]
    np.testing.assert_array_equal(policy.predict(np.zeros(3)), np.float32([0.05, 0.2]))


def test_an_action_given_away_stays_as_it_is():
    policy = Policy(spaces.Box(-1, 1, (3,)), spaces.MultiBinary(6), SMALL, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    actions = [policy.predict(np.zeros(3), deterministic=False, rng=rng) for _ in range(10)]
    assert len({tuple(action.tolist()) for action in actions}) > 1


@pytest.mark.parametrize(("high", "scale"), [(255, 1 / 255), (254, 1)])
@pytest.mark.parametrize("norm_obs", [False, True])
def test_what_the_network_sees_of_bytes(high, scale, norm_obs):
    """Images from 0 to 1, other bytes as they are; rows of uint8 in both cases, also where they are normalised."""
    space = spaces.Box(0, high, (2, 2), np.uint8)
    config = PPOConfig(shared_sizes=(8,), norm_obs=norm_obs)
    policy = Policy(space, spaces.Discrete(2), config, np.random.default_rng(0))
    assert policy.obs_dtype == np.uint8
    obs = np.random.default_rng(1).integers(high, size=(5, 2, 2), dtype=np.uint8)
    rows, inputs = np.zeros((5, 4), policy.obs_dtype), np.full((5, 4), np.nan, np.float32)
    policy.observations.flatten(obs, rows)
    policy.preprocess(rows, inputs)
    expected = obs.reshape(5, 4) * np.float32(scale)
    np.testing.assert_allclose(inputs, np.minimum(expected, 10) if norm_obs else expected, rtol=1e-6)


def test_normalised_observations_may_be_written_over():
    policy = Policy(
        spaces.Box(-9, 9, (3,)),
        spaces.Discrete(2),
        PPOConfig(shared_sizes=(8,), norm_obs=True),
        np.random.default_rng(0),
    )
    rows = np.random.default_rng(1).normal(3, 2, (50, 3)).astype(np.float32)
    policy.obs_moments.update(rows, np.ones(50, bool))
    expected = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    policy.preprocess(rows, rows)
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("obs", [{}, {"eye": np.zeros((2, 2), np.uint8)}, np.zeros(3)], ids=["empty", "a part", "flat"])
def test_half_an_observation_is_refused(obs):
    policy = Policy(NESTED, spaces.Discrete(2), SMALL, np.random.default_rng(0))
    with pytest.raises(UserError, match="^obs is .*, but it must be in Dict.*, or a batch of observations in it"):
        policy.predict(obs)


def test_bytes_must_be_bytes():
    space = spaces.Box(0, 255, (2, 2), np.uint8)
    policy = Policy(space, spaces.Discrete(2), SMALL, np.random.default_rng(0))
    policy.predict(np.full((2, 2), 255))
    for wrong in (np.full((2, 2), 0.5), np.full((2, 2), np.nan), np.full((2, 2), -1), np.full((2, 2), 256)):
        with pytest.raises(UserError, match="^obs has numbers that are not integers from 0 to 255"):
            policy.predict(wrong)


@pytest.mark.parametrize("wrong", [3, -1, 1.7, np.array([0, 5])])
def test_an_index_must_be_in_its_space(wrong):
    policy = Policy(spaces.Discrete(3), spaces.Discrete(2), SMALL, np.random.default_rng(0))
    with pytest.raises(UserError, match="^obs is .*, but it must be finite, and in Discrete"):
        policy.predict(wrong)


def different(space, norm_obs=False):
    """A policy whose actions differ from observation to observation, and some of these."""
    config = PPOConfig(shared_sizes=(8,), norm_obs=norm_obs)
    policy = Policy(spaces.Box(-1, 1, (3,)), space, config, np.random.default_rng(0))
    policy.model.params[:] = np.random.default_rng(1).standard_normal(policy.model.params.size)
    return policy, np.random.default_rng(5).uniform(-1, 1, (20, 3)).astype(np.float32)


@pytest.mark.parametrize("name", ["act", "forward"])  # the short way, and that of all kinds of observations
@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("action_space", ACTION_SPACES, ids=str)
def test_threads_do_not_mix_up_their_actions(monkeypatch, action_space, deterministic, name):
    """Both threads are inside `predict` at the same time: each after the other's forward pass."""
    policy, observations = different(action_space)
    policy._is_direct = name == "act"

    def act(obs):
        return policy.predict(obs, deterministic, rng=np.random.default_rng(2)).tolist()

    passed = []
    first, *others = observations
    both = first, next(obs for obs in others if act(obs) != act(first))
    expected, barrier, run = [act(obs) for obs in both], Barrier(2, timeout=10), getattr(policy.model, name)

    def run_together(*arguments, **more):
        barrier.wait()
        result = run(*arguments, **more)
        passed.append(barrier.wait())
        return result

    monkeypatch.setattr(policy.model, name, run_together)
    with ThreadPoolExecutor(2) as threads:
        for _ in range(3):
            assert list(threads.map(act, both)) == expected
    assert len(passed) == 6


NETWORKS = {
    "shared": {"shared_sizes": (7, 9)},
    "separate": {"shared_sizes": (), "policy_sizes": (6, 5), "value_sizes": (4,), "activation": "tanh"},
    "a fork": {"shared_sizes": (9,), "policy_sizes": (6, 5), "value_sizes": (4, 8, 3), "activation": "tanh"},
    "no hidden layer": {"shared_sizes": ()},
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("norm_obs", [False, True])
@pytest.mark.parametrize("action_space", ACTION_SPACES, ids=str)
def test_the_short_way_has_the_same_bits(action_space, norm_obs, network):
    config = PPOConfig(**network, norm_obs=norm_obs)
    policy = Policy(spaces.Box(-9, 9, (2, 3)), action_space, config, np.random.default_rng(0))
    policy.model.params[:] = np.random.default_rng(1).standard_normal(policy.model.params.size)
    if norm_obs:
        policy.obs_moments.update(np.random.default_rng(2).normal(1, 3, (9, 6)).astype(np.float32), np.ones(9, bool))
    obs = np.random.default_rng(3).normal(0, 4, (10, 2, 3))
    ways = []
    for direct in (True, False):
        assert policy._is_direct  # before it is switched off
        policy._is_direct = direct
        given = [*obs, *obs.astype(np.float32), np.asfortranarray(obs[0]), obs.astype(np.float16)[0]]
        taken = [policy._evaluated_directly(one) is not None for one in given]
        assert taken == [direct] * 22
        rng = np.random.default_rng(4)
        ways.append([policy.predict(one, greedy, rng=rng) for one in given for greedy in (True, False)])
    for short, general in zip(*ways, strict=True):
        assert type(short) is type(general)
        np.testing.assert_array_equal(short, general, strict=True)


@pytest.mark.parametrize("norm_obs", [False, True])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_the_short_way_refuses_what_is_not_finite(norm_obs, wrong):
    policy, observations = different(spaces.MultiBinary(6), norm_obs)
    expected = policy.predict(observations[1])
    for place in range(3):
        obs = observations[0].copy()
        obs[place] = wrong
        with pytest.raises(UserError, match="^obs is .*, but it must be finite, and in Box"):
            policy.predict(obs)
    assert np.array_equal(policy.predict(observations[1]), expected)


LONG_WAY = {
    "an image": (spaces.Box(0, 255, (2, 2), np.uint8), np.full((2, 2), 9, np.uint8)),
    "bytes": (spaces.Box(0, 9, (2,), np.uint8), np.full(2, 9, np.uint8)),
    "integers": (spaces.Box(-9, 9, (2,)), np.array([1, 2])),
    "a list": (spaces.Box(-9, 9, (2,)), [1.0, 2.0]),
    "a batch": (spaces.Box(-9, 9, (2,)), np.zeros((2, 2))),
    "choices": (spaces.MultiDiscrete([3, 3]), np.array([1.0, 2.0])),
}


@pytest.mark.parametrize("case", LONG_WAY)
def test_what_goes_the_long_way(case):
    space, obs = LONG_WAY[case]
    policy = Policy(space, spaces.Discrete(3), SMALL, np.random.default_rng(0))
    assert policy._evaluated_directly(obs) is None
    assert np.shape(policy.predict(obs)) == ((2,) if case == "a batch" else ())


def test_workspaces_are_kept_for_as_many_calls_as_run_together(policy):
    for rows in (1, 5, 1, 3):
        policy.predict(np.zeros((rows, 3)))
        assert [len(workspace.inputs) for workspace in policy._idle] == [rows]
    with pytest.raises(UserError):
        policy.predict(np.full((3, 3), np.nan))
    policy.predict(np.zeros((3, 3)))
    assert len(policy._idle) == 1


def test_a_call_does_not_write_the_text_of_its_error(monkeypatch, policy):
    monkeypatch.setattr(spaces.Box, "__repr__", lambda _: pytest.fail("the space was written out"))
    policy.predict(np.zeros(3))
    policy.predict(np.zeros((2, 3)), deterministic=False, rng=np.random.default_rng(0))


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda policy: pickle.loads(pickle.dumps(policy))}
copies = pytest.mark.parametrize("copy_of", COPIES.values(), ids=COPIES)


@copies
@pytest.mark.parametrize("norm_obs", [False, True])
@pytest.mark.parametrize("action_space", ACTION_SPACES, ids=str)
def test_a_copy_acts_by_its_own_parameters_and_statistics(action_space, norm_obs, copy_of):
    policy, observations = different(action_space, norm_obs)
    if norm_obs:
        policy.obs_moments.update(np.float32([[0, 1, 2], [3, -4, 5]]), np.ones(2, bool))

    def actions(policy):
        return [policy.predict(observations, greedy, rng=np.random.default_rng(3)).tolist() for greedy in (True, False)]

    before, twin = actions(policy), copy_of(policy)
    assert actions(twin) == before
    changed = np.random.default_rng(4).standard_normal(policy.model.params.size)
    for each in (twin, policy):
        each.model.params[:] = changed
        if norm_obs:
            each.obs_moments.mean[:] = 0.5
        assert actions(each) == actions(twin) != before
        assert actions(policy) == (before if each is twin else actions(twin))


def test_a_shallow_copy_shares_the_parameters():
    policy, observations = different(spaces.MultiBinary(6))
    twin = copy.copy(policy)
    policy.model.params[:] = np.random.default_rng(4).standard_normal(policy.model.params.size)
    assert np.array_equal(twin.predict(observations), policy.predict(observations))
