"""Runs of fake_child.py in place of training, and what they have done."""

import json
import sys
from pathlib import Path

import pytest

from ppo_np.searching import jobs


@pytest.fixture
def fake(monkeypatch):
    """Puts fake runs in place of training; a call says what they do, by the ends of their folders' names."""

    def behave(what):
        monkeypatch.setenv("FAKE", json.dumps(what))

    monkeypatch.setattr(jobs, "PROGRAM", [sys.executable, "-IS", str(Path(__file__).with_name("fake_child.py"))])
    monkeypatch.setattr(jobs, "TICK", 0.02)
    behave({})
    return behave


@pytest.fixture
def calls():
    """The calls of each run below a folder, by the name of the run."""

    def read(folder):
        found = sorted(folder.rglob("*.calls"))
        return {str(path.relative_to(folder).with_suffix("")): path.read_text().splitlines() for path in found}

    return read
