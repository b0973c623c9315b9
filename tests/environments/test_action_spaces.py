"""The policy's actions become members of the action space."""

import itertools

import numpy as np
import pytest
from conftest import seeds
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from sample_spaces import FLOATS, SHAPES, Homemade, multi_discretes

from ppo_np.config import PPOConfig
from ppo_np.environments.spaces import ActionAdapter
from ppo_np.errors import UserError
from ppo_np.network.action_head import action_head
from ppo_np.network.distributions import Bernoulli, Categorical, Gaussian, MultiCategorical

# Gymnasium says so of each sample of a Box of shape (), a NumPy scalar.
pytestmark = pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array")


def policy_actions(head, seed, rows):
    """As a distribution would give them."""
    rng, counts = np.random.default_rng(seed), head.sizes
    if head.kind is Gaussian:
        return (3 * rng.standard_normal((rows, len(counts)))).astype(np.float32)
    if head.kind is Bernoulli:
        return rng.integers(2, size=(rows, len(counts)), dtype=np.int8)
    return (
        rng.integers(counts[0], size=rows)
        if head.kind is Categorical
        else rng.integers(counts, size=(rows, len(counts)))
    )


float_boxes = st.builds(
    lambda shape, dtype, low, high: spaces.Box(np.full(shape, low, dtype), np.full(shape, high, dtype), dtype=dtype),
    st.sampled_from(SHAPES),
    st.sampled_from(FLOATS),
    st.sampled_from([-np.inf, -1.1, 0]),
    st.sampled_from([np.inf, 0.3]),
)
action_spaces = st.one_of(
    float_boxes,
    multi_discretes(),
    st.builds(
        spaces.Discrete, st.integers(1, 6), start=st.integers(-5, 5), dtype=st.sampled_from([np.int32, np.int64])
    ),
    st.builds(spaces.MultiBinary, st.sampled_from([1, 3, (2, 3), [2, 1, 2]])),
)


@given(action_spaces, seeds, st.integers(1, 5))
def test_actions_are_members_of_the_space(space, seed, rows):
    adapter = ActionAdapter(space)
    actions = policy_actions(action_head(space, PPOConfig()), seed, rows)
    before = actions.copy()
    given_to_env = adapter.to_env(actions)
    assert given_to_env.shape == (rows, *space.shape)
    assert all(space.contains(np.asarray(action)) for action in given_to_env)
    np.testing.assert_array_equal(actions, before)
    components, given_to_env = actions.reshape(rows, -1), given_to_env.reshape(rows, -1)
    if isinstance(space, spaces.Box):
        clipped = np.minimum(np.maximum(components, space.low.reshape(-1)), space.high.reshape(-1))
        np.testing.assert_array_equal(given_to_env, clipped.astype(space.dtype))
    else:
        np.testing.assert_array_equal(given_to_env, components + np.reshape(getattr(space, "start", 0), -1))


def test_each_component_has_its_own_bounds():
    low, high = np.float32([[-1, 0], [-np.inf, 2]]), np.float32([[1, 0.5], [3, np.inf]])
    adapter = ActionAdapter(spaces.Box(low, high))
    large = np.float32([[9, 9, 9, 9], [-9, -9, -9, -9], [0.1, 0.2, 0.3, 2.4]])
    expected = [[[1, 0.5], [3, 9]], [[-1, 0], [-9, 2]], [[0.1, 0.2], [0.3, 2.4]]]
    np.testing.assert_array_equal(adapter.to_env(large), np.float32(expected))


@pytest.mark.parametrize(
    ("space", "kind", "sizes"),
    [
        (spaces.Discrete(4, start=3), Categorical, (4,)),
        (spaces.MultiDiscrete([[3, 2], [4, 5]]), MultiCategorical, (3, 2, 4, 5)),
        (spaces.MultiBinary((2, 3)), Bernoulli, (1,) * 6),
        (spaces.Box(-1, 1, (2, 2)), Gaussian, (1,) * 4),
        (spaces.Box(-1, 1, ()), Gaussian, (1,)),
    ],
    ids=str,
)
def test_the_head_fits_the_space(space, kind, sizes):
    head = action_head(space, PPOConfig())
    assert (head.kind, head.sizes, head.outputs) == (kind, sizes, sum(sizes))
    assert head.has_log_std == (kind is Gaussian)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 5, (2,), np.int64),
        spaces.Box(0, 255, (2,), np.uint8),
        spaces.Box(0, 1, (2,), bool),
        spaces.Dict(a=spaces.Discrete(2)),
        spaces.Dict(a=spaces.Box(np.arange(40, dtype=np.float32), np.full(40, 50, np.float32))),
        spaces.Tuple([spaces.Discrete(2)]),
        spaces.Text(3),
        spaces.OneOf([spaces.Discrete(2)]),
        Homemade((3,), np.float32),
    ],
    ids=itertools.count(),
)
def test_other_action_spaces_are_refused(space):
    with pytest.raises(UserError, match=r"^The action space is .*, but it must be Discrete, .* or a Box of floats\.$"):
        action_head(space, PPOConfig())


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_an_empty_action_space_is_refused(shape):
    with pytest.raises(UserError, match=r"^The action space is .*, but it must be of at least one number\.$"):
        action_head(spaces.Box(-1, 1, shape), PPOConfig())
