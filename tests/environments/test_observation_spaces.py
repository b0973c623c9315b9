"""Observations of every space become rows of numbers."""

import itertools

import numpy as np
import pytest
from conftest import seeds
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from hypothesis import given
from hypothesis import strategies as st
from sample_spaces import Homemade, boxes, multi_discretes

from ppo_np.environments.spaces import ObservationAdapter
from ppo_np.errors import UserError

# Gymnasium says so of each sample of a Box of shape (), a NumPy scalar.
pytestmark = pytest.mark.filterwarnings("ignore:.*Casting input x to numpy array")
IMAGE = spaces.Box(0, 255, (2, 2, 3), np.uint8)
NESTED = spaces.Dict(
    eye=IMAGE,
    rest=spaces.Tuple([spaces.Discrete(3, start=-1), spaces.Dict(x=spaces.Box(-1, 1, (2,)), y=spaces.Text(4))]),
)
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
