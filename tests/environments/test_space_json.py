"""Spaces in a checkpoint: what is read is the same space, and a forged document is refused before it is built."""

import json

import numpy as np
import pytest
from gymnasium import spaces

from ppo_np.environments.space_json import of_json, to_json
from ppo_np.saving.hdf5 import MALFORMED

SPACES = [
    spaces.Box(-1, 1, (3,)),
    spaces.Box(-1, 1, ()),
    spaces.Box(0, 255, (4, 4, 3), np.uint8),
    spaces.Box(np.float32([-0.1, -np.inf]), np.float32([0.2, 0.05])),
    spaces.Box(-0.1, 0.1, (2, 2), np.float64),
    spaces.Box(-(2**63), 2**63 - 1, (2,), np.int64),
    spaces.Discrete(4, start=10),
    spaces.Discrete(3, dtype=np.int32),
    spaces.MultiDiscrete([[3, 2], [4, 5]], start=[[1, 2], [-3, 0]], dtype=np.int8),
    spaces.MultiBinary(6),
    spaces.MultiBinary((2, 3)),
    spaces.Text(3, charset="b\na"),
    spaces.Dict([("z", spaces.Discrete(2)), ("a", spaces.Tuple([spaces.Discrete(3), spaces.Text(3)]))]),
    spaces.Dict({1: spaces.Box(0, 1)}),
    spaces.OneOf([spaces.Discrete(2), spaces.Box(0, 1, (2,))]),
]  # fmt: skip


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_a_space_comes_back(space):
    again = of_json(json.loads(json.dumps(to_json(space))), 100)
    assert again == space
    assert type(again) is type(space)
    assert repr(again) == repr(space)  # also the order of keys
    if isinstance(space, spaces.Box):  # `==` allows rounding
        assert np.array_equal(again.low, space.low)
        assert np.array_equal(again.high, space.high)
        assert np.array_equal(again.bounded_below, space.bounded_below)
    if isinstance(space, spaces.Text):
        assert again.character_list == space.character_list


def test_a_space_of_the_user_becomes_gymnasiums_own():
    class Own(spaces.Box):
        pass

    assert type(of_json(to_json(Own(-1, 1, (3,))), 3)) is spaces.Box


@pytest.mark.parametrize(
    "space", [spaces.Graph(spaces.Discrete(2), None), spaces.Tuple([spaces.Sequence(spaces.Discrete(2))])]
)
def test_what_has_no_document(space):
    assert to_json(space) is None


LARGE = {"dtype": "float32", "low": 0.0, "high": 1.0}
FORGED = [
    {"kind": "Box", "shape": [2**40], **LARGE},
    {"kind": "Box", "shape": [-(2**20), -(2**20)], **LARGE},
    {"kind": "Box", "shape": [-1], **LARGE},
    {"kind": "Box", "shape": [2], **LARGE, "dtype": "object"},
    {"kind": "Box", "shape": [2], **LARGE, "low": [0, 1, 2]},
    {"kind": "Discrete", "n": 2**40, "start": 0},
    {"kind": "Discrete", "n": 3, "start": "x"},
    {"kind": "Discrete", "n": 0, "start": 0},
    {"kind": "MultiBinary", "n": [2**20, 2**20]},
    {"kind": "MultiDiscrete", "nvec": [3, 2**40], "start": [0, 0], "dtype": "int64"},
    {"kind": "Text", "max_length": 2**40, "min_length": 1, "characters": [97]},
    {"kind": "Tuple", "spaces": [{"kind": "Discrete", "n": 60, "start": 0}] * 2},
    {"kind": "os.system", "n": 1},
    {"kind": "Dict", "keys": ["a"], "spaces": []},
    {},
]  # fmt: skip


@pytest.mark.parametrize("document", FORGED, ids=str)
def test_a_forged_document_is_refused(document):
    with pytest.raises(MALFORMED):
        of_json(document, 100)
