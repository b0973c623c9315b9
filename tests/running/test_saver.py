"""When a run writes its checkpoint: at the interval, after its logs, and again after a failure."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ppo_np.distributed.ranks import ALONE
from ppo_np.logs.incidents import Incidents
from ppo_np.running import saver as saver_module
from ppo_np.running.interval import Interval
from ppo_np.running.saver import Saver


class Run:
    """A saver whose `ppo` and log only note that they were called."""

    def __init__(self, every, monkeypatch):
        self.events, self.told, self.now, self.fails = [], [], 0.0, set()
        monkeypatch.setattr(saver_module, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.ppo = SimpleNamespace(
            update=0, ranks=ALONE, save=lambda path, keep_previous: self.note(path.name, keep_previous)
        )
        log = SimpleNamespace(sync=lambda: self.note("log"))
        self.incidents = Incidents(self.told.append)
        self.saver = Saver(self.ppo, Path("run"), Interval.parse(every), {"log": log}, self.incidents)

    def note(self, what, keep_previous=True):
        assert keep_previous
        self.events.append((self.ppo.update, what))
        if what in self.fails:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    def updates(self, count, seconds=1.0):
        for _ in range(count):
            self.ppo.update += 1
            self.now += seconds
            self.saver.after_update()
        return [update for update, what in self.events if what == "checkpoint.h5"]


def test_every_so_many_updates(monkeypatch):
    run = Run("3", monkeypatch)
    assert run.updates(10) == [3, 6, 9]
    assert run.events[:2] == [(3, "log"), (3, "checkpoint.h5")], "the logs come first"


@pytest.mark.parametrize(("seconds", "saved"), [(1.0, [3, 6, 9]), (2.0, [2, 4, 6, 8, 10]), (5.0, list(range(1, 11)))])
def test_every_so_many_seconds(monkeypatch, seconds, saved):
    assert Run("2.5s", monkeypatch).updates(10, seconds) == saved


def test_a_failure_is_told_once_and_tried_again_at_the_next_interval(monkeypatch):
    run = Run("2", monkeypatch)
    run.fails = {"checkpoint.h5"}
    assert run.updates(5) == [2, 4]
    assert run.told == [
        "run/checkpoint.h5 cannot be written (Permission denied): training continues and will try again."
    ]
    assert list(run.incidents.lasting) == ["run/checkpoint.h5"]
    run.fails = set()
    assert run.updates(1) == [2, 4, 6]
    assert not run.incidents.lasting


def test_a_log_that_cannot_be_written_keeps_no_checkpoint_back(monkeypatch):
    run = Run("1", monkeypatch)
    run.fails = {"log"}
    assert run.updates(2) == [1, 2]
    assert list(run.incidents.lasting) == ["log"]
