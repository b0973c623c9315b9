"""Observations of every space become rows of numbers; the policy's actions become members of the action space."""

import itertools

import numpy as np
import pytest
from conftest import seeds
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from hypothesis import given
from hypothesis import strategies as st

from ppo_np.config import PPOConfig
from ppo_np.environments.spaces import ActionAdapter, ObservationAdapter
from ppo_np.errors import UserError
from ppo_np.network.action_head import action_head
from ppo_np.network.distributions import Bernoulli, Categorical, Gaussian, MultiCategorical

# Gymnasium says so of each sample of a Box of shape (), a NumPy scalar.
pytestmark = pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array")

SHAPES = [(), (1,), (3,), (2, 3), (2, 1, 2)]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16]
FLOATS = [np.float16, np.float32, np.float64]
IMAGE = spaces.Box(0, 255, (2, 2, 3), np.uint8)
NESTED = spaces.Dict(
    eye=IMAGE,
    rest=spaces.Tuple([spaces.Discrete(3, start=-1), spaces.Dict(x=spaces.Box(-1, 1, (2,)), y=spaces.Text(4))]),
)


@st.composite
def boxes(draw):
    shape, dtype = draw(st.sampled_from(SHAPES)), draw(st.sampled_from([*FLOATS, *INTEGERS, bool]))
    low, high = (np.full(shape, bound, dtype) for bound in ((0, 1) if dtype is bool else (0, 100)))
    if dtype in FLOATS:
        low[...] = draw(st.sampled_from([-np.inf, -1.5]))
        high[...] = draw(st.sampled_from([np.inf, 2]))
    elif dtype is not bool and draw(st.booleans()):
        low[...], high[...] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return spaces.Box(low, high, dtype=dtype)


@st.composite
def multi_discretes(draw):
    shape = draw(st.sampled_from(SHAPES[1:]))
    counts, start = (
        np.reshape(draw(st.lists(st.integers(*bounds), min_size=12, max_size=12)), -1)[: np.prod(shape)].reshape(shape)
        for bounds in ((1, 5), (-9, 9))
    )
    return spaces.MultiDiscrete(counts, dtype=draw(st.sampled_from([np.int8, np.int64])), start=start)


simple_spaces = st.one_of(
    boxes(),
    multi_discretes(),
    st.builds(
        spaces.Discrete, st.integers(1, 6), start=st.integers(-5, 5), dtype=st.sampled_from([np.int32, np.int64])
    ),
    st.builds(spaces.MultiBinary, st.sampled_from([1, 3, (2, 3), [2, 1, 2]])),
    st.builds(spaces.Text, st.integers(1, 5), charset=st.sampled_from(["ab", "xyz0123"])),
)
leaf_spaces = simple_spaces | st.builds(spaces.OneOf, st.lists(simple_spaces, min_size=1, max_size=3).map(tuple))
observation_spaces = st.recursive(
    leaf_spaces,
    lambda parts: (
        st.builds(spaces.Tuple, st.lists(parts, min_size=1, max_size=3))
        | st.builds(spaces.Dict, st.dictionaries(st.sampled_from("dcba"), parts, min_size=1, max_size=3))
    ),
    max_leaves=6,
)


def is_image(space):
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and np.all((space.low == 0) & (space.high == 255))


def flat(space, observation):
    """What Gymnasium makes of one observation, in float32, but for images."""
    if isinstance(space, spaces.Dict):
        return np.concatenate([flat(part, observation[key]) for key, part in space.spaces.items()])
    if isinstance(space, spaces.Tuple):
        return np.concatenate([flat(*pair) for pair in zip(space.spaces, observation, strict=True)])
    return spaces.flatten(space, observation).astype(np.float32) * np.float32(1 / 255 if is_image(space) else 1)


def batch_of(space, observations):
    """The observations as a vector environment gives them."""
    return concatenate(space, observations, create_empty_array(space, len(observations)))


def samples(space, seed, rows):
    space.seed(seed)
    return [space.sample() for _ in range(rows)]


def flattened(space, batch, rows):
    """Rows of float32, with nothing sensible in them before."""
    adapter = ObservationAdapter(space)
    flat_rows = np.full((rows, adapter.size), np.nan, np.float32)
    adapter.flatten(batch, flat_rows)
    return flat_rows


@given(observation_spaces, seeds, st.integers(1, 4))
def test_flat_rows_equal_gymnasiums_flatten(space, seed, rows):
    observations = samples(space, seed, rows)
    expected = np.array([flat(space, observation) for observation in observations])
    adapter = ObservationAdapter(space)
    assert adapter.size == spaces.flatdim(space) == expected.shape[1]
    batch = batch_of(space, observations)
    np.testing.assert_array_equal(flattened(space, batch, rows), expected)
    for observation, row in zip(observations, expected, strict=True):
        one = np.full(adapter.size, np.nan, np.float32)
        adapter.flatten_one(observation, one)
        np.testing.assert_array_equal(one, row)
        assert adapter.batch_length(observation) is None
    assert adapter.batch_length(batch) == rows


@given(observation_spaces, seeds, st.integers(1, 4))
def test_a_sample_of_the_batched_space_is_a_batch(space, seed, rows):
    batched = batch_space(space, rows)
    (batch,) = samples(batched, seed, 1)
    expected = [flat(space, observation) for observation in iterate(batched, batch)]
    np.testing.assert_array_equal(flattened(space, batch, rows), expected)
    assert ObservationAdapter(space).batch_length(batch) == rows


@pytest.mark.parametrize(
    ("space", "dtype", "scale"),
    [
        (IMAGE, np.uint8, 1 / 255),
        (spaces.Box(0, 254, (3,), np.uint8), np.uint8, 1),
        (spaces.Box(0, 255, (3,), np.int16), np.float32, 1),
        (spaces.Box(0, 255, (3,), np.float32), np.float32, 1),
        (spaces.Dict(image=IMAGE), np.float32, 1),
        (spaces.Discrete(3), np.float32, 1),
    ],
    ids=str,
)
def test_bytes_stay_bytes_until_the_network(space, dtype, scale):
    adapter = ObservationAdapter(space)
    assert adapter.dtype == dtype
    assert adapter.scale == np.float32(scale)
    observations = samples(space, 0, 4)
    rows = np.full((4, adapter.size), 7, adapter.dtype)
    adapter.flatten(batch_of(space, observations), rows)
    expected = np.array([flat(space, observation) for observation in observations])
    np.testing.assert_array_equal(rows * adapter.scale, expected)
    if dtype == np.uint8:
        assert np.array_equal(rows, np.array(observations).reshape(4, -1))


def test_white_is_1_in_rows_of_floats_and_beside_other_parts():
    white = np.full((2, *IMAGE.shape), 255, np.uint8)
    assert (flattened(IMAGE, white, 2) == 1).all()
    both = spaces.Tuple([spaces.Box(0, 255, (1,), np.float32), IMAGE, spaces.Box(0, 254, (1,), np.uint8)])
    rows = flattened(both, (np.full((2, 1), 255, np.float32), white, np.full((2, 1), 254, np.uint8)), 2)
    assert rows.tolist() == [[255, *[1] * 12, 254]] * 2


@pytest.mark.parametrize(
    ("space", "good", "bad"),
    [
        (spaces.Discrete(3), [0, 2], [-1, 3, 10**12]),
        (spaces.Discrete(3, start=5), [5, 7], [4, 8, 0]),
        (spaces.MultiDiscrete([2, 3], start=[1, -1]), [[1, -1], [2, 1]], [[0, 0], [3, 0], [1, -2], [1, 2], [0, 9]]),
        (spaces.MultiDiscrete([2, 3], dtype=np.uint8), [[0, 0], [1, 2]], [[2, 0], [0, 3], [255, 0]]),
    ],
)
def test_an_index_out_of_range_is_not_a_number(space, good, bad):
    for order in ([*good, *bad], [*bad, *good]):
        rows = flattened(space, np.array(order, space.dtype), len(order))
        for index, row in zip(order, rows, strict=True):
            expected = np.nan if index in bad else flat(space, np.array(index, space.dtype))
            np.testing.assert_array_equal(row, np.broadcast_to(np.float32(expected), row.shape))


def test_only_the_part_that_is_out_of_range_is_not_a_number():
    space = spaces.Tuple([spaces.Discrete(2), spaces.Discrete(3), spaces.Box(-1, 1, (1,))])
    row = flattened(space, (np.array([1]), np.array([3]), np.array([[0.5]])), 1)[0]
    np.testing.assert_array_equal(row, [0, 1, np.nan, np.nan, np.nan, 0.5])


def nested(rows, **changes):
    """A batch of `NESTED` with some of its leaves changed."""
    batch = batch_of(NESTED, samples(NESTED, 0, rows))
    leaves = {"eye": batch["eye"], "number": batch["rest"][0], **batch["rest"][1]} | changes
    parts = leaves["number"], {"x": leaves["x"], "y": leaves["y"]}
    return {"eye": leaves["eye"], "rest": parts}


@pytest.mark.parametrize(
    ("space", "obs"),
    [
        (NESTED, {}),
        (NESTED, None),
        (NESTED, 3),
        (NESTED, {"eye": np.zeros((2, 2, 2, 3), np.uint8)}),
        (NESTED, {"rest": nested(2)["rest"]}),
        (NESTED, nested(2, eye=np.zeros((3, 2, 2, 3), np.uint8))),
        (NESTED, nested(2, x=np.zeros(2))),
        (NESTED, nested(2, x=np.zeros((2, 3)))),
        (NESTED, nested(2, x=np.zeros(()))),
        (NESTED, nested(2, x=[[1.0, 2.0], [3.0]])),
        (NESTED, nested(2, y=("ab", "too long"))),
        (NESTED, nested(2, y=("ab",))),
        (NESTED, nested(2, y="ab")),
        (NESTED, nested(2, number=np.array([0, 1, 0]))),
        (spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]), "01"),
        (spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]), (np.zeros(2, int), 1)),
        (spaces.Text(3), "too long"),
        (spaces.Text(3), ("ab", 3)),
        (spaces.Text(3), {"ab": "ab"}),
        (spaces.OneOf([spaces.Discrete(2)]), (5, 1)),
        (spaces.OneOf([spaces.Discrete(2)]), ((0, 1), (0, 2))),
        (spaces.Discrete(3), np.zeros((2, 1), int)),
        (spaces.Discrete(3), "1"),
        (spaces.MultiBinary((2, 2)), np.zeros((3, 2), np.int8)),
    ],
    ids=itertools.count(),
)
def test_what_is_neither_an_observation_nor_a_batch_is_refused(space, obs):
    with pytest.raises(UserError, match=r"^obs .*, but it must be .*\.$"):
        ObservationAdapter(space).batch_length(obs)


class Homemade(spaces.Space):
    """A space that Gymnasium cannot flatten."""


@pytest.mark.parametrize(
    "space",
    [
        spaces.Graph(spaces.Discrete(3), None),
        spaces.Sequence(spaces.Discrete(2)),
        spaces.Sequence(spaces.Box(-1, 1, (2,)), stack=True),
        spaces.Dict(a=spaces.Discrete(2), b=spaces.Sequence(spaces.Discrete(2))),
        spaces.Dict(
            a=spaces.Box(np.arange(40, dtype=np.float32), np.full(40, 50, np.float32)),
            b=spaces.Sequence(spaces.Discrete(2)),
        ),
        spaces.Tuple([spaces.Dict(a=spaces.Graph(spaces.Discrete(3), None))]),
        spaces.OneOf([spaces.Sequence(spaces.Discrete(2))]),
        Homemade((3,), np.float32),
        spaces.Dict(a=Homemade((3,), np.float32)),
    ],
    ids=itertools.count(),
)
def test_a_space_without_a_fixed_length_is_refused(space):
    with pytest.raises(UserError, match=r"^The observation space is .*, but it must be .* flattened into a Box\.$"):
        ObservationAdapter(space)


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (0,)), spaces.Box(-1, 1, (2, 0)), spaces.Dict(), spaces.Tuple([])])
def test_an_empty_observation_space_is_refused(space):
    with pytest.raises(UserError, match=r"^The observation space is .*, but it must be of at least one number\.$"):
        ObservationAdapter(space)


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
