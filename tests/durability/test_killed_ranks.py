"""A sample of durability/kill/ranks.py: ranks that are killed end together."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "kill"))

import ranks


@pytest.mark.mpi
def test_ranks_that_are_killed_end_together():
    assert ranks.perform({"start": 3, "stopped": 1, "asleep": 1}, seed=0) == 0
