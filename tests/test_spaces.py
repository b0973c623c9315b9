"""Observations become rows of numbers; the policy's actions become the environment's."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import flatten

from ppo_np.errors import UserError
from ppo_np.spaces import ActionAdapter, ObservationAdapter


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, (3,), np.float32),
        spaces.Box(-1, 1, (2, 3), np.float64),
        spaces.Box(0, 255, (2, 2, 3), np.uint8),
        spaces.Box(-1, 1, (), np.float32),
        spaces.Discrete(5),
        spaces.Discrete(5, start=-2),
    ],
    ids=str,
)
def test_flat_rows_equal_gymnasiums_flatten(space):
    space.seed(0)
    samples = [space.sample() for _ in range(4)]
    adapter = ObservationAdapter(space)
    rows = np.full((4, adapter.size), np.nan, np.float32)
    adapter.flatten(np.array(samples), rows)
    expected = np.array([flatten(space, sample) for sample in samples], np.float32)
    assert np.array_equal(rows, expected)


@pytest.mark.parametrize("start", [0, 3, -2])
def test_actions_begin_at_the_spaces_start(start):
    adapter = ActionAdapter(spaces.Discrete(4, start=start))
    assert adapter.size == 4
    assert adapter.to_env(np.arange(4)).tolist() == [start, start + 1, start + 2, start + 3]


@pytest.mark.parametrize(
    "space", [spaces.MultiBinary(3), spaces.Tuple([spaces.Discrete(2)]), spaces.Dict(a=spaces.Discrete(2))]
)
def test_other_observation_spaces_are_refused(space):
    with pytest.raises(UserError, match="The observation space is .* must be Box or Discrete"):
        ObservationAdapter(space)


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (2,)), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)])
def test_other_action_spaces_are_refused(space):
    with pytest.raises(UserError, match="The action space is .* must be Discrete"):
        ActionAdapter(space)
