"""A sample of durability/kill/run.py: runs that are killed end like the uninterrupted one; planted bugs are found."""

import json
import random
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "kill"))

import plan
import trial
from at_system_call import Point, WatchedOS
from compare import damage, differences
from trial import Kill, Scenario, Setting

from ppo_np.saving import files
from ppo_np.saving.hdf5 import pack, unpack

pytestmark = pytest.mark.faults

SMALL = Setting("CartPole-v1", updates=8, checkpoint_every=1, eval_every=3)
BATCH = ((signal.SIGTERM, 0.05), (signal.SIGKILL, 0.0))  # as batch systems do
SOUND = {
    "at system calls": [Kill(point="checkpoint.h5 4 2 write half"), Kill(point="checkpoint.h5 3 9 replace before")],
    "by signals": [Kill(update=1, signals=BATCH), Kill(update=4, delay=0.01)],
}
PLANTED = {
    "minibatch_rng": [Kill(point="metrics.csv 9 3 write half")],
    "in_place": [Kill(point="checkpoint.h5 4 2 write half")],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Holds the uninterrupted run, and the system calls that wrote it."""
    folder = tmp_path_factory.mktemp("kill")
    trial.train(SMALL, folder / "whole", folder / "calls.json")
    return folder


@pytest.fixture(scope="module")
def outcomes(folder):
    """Two at a time: most of it is waiting for Python to start."""
    scenarios = {name: Scenario(name, SMALL, kills) for name, kills in SOUND.items()}
    scenarios |= {name: Scenario(name, SMALL, kills, plant=name) for name, kills in PLANTED.items()}
    with ThreadPoolExecutor(2) as pool:
        jobs = {name: pool.submit(trial.run, one, folder / name, folder / "whole") for name, one in scenarios.items()}
    return {name: job.result() for name, job in jobs.items()}


@pytest.mark.parametrize("name", SOUND)
def test_a_killed_run_ends_like_the_uninterrupted_one(outcomes, name):
    outcome = outcomes[name]
    assert outcome.problems == []
    assert 1 <= outcome.kills == outcome.loaded


def test_a_generator_that_is_not_restored_is_found(outcomes):
    assert "checkpoint.h5: rng" in outcomes["minibatch_rng"].problems
    assert "metrics.csv" in outcomes["minibatch_rng"].problems


def test_a_checkpoint_that_is_written_in_place_is_found(outcomes):
    (problem,) = outcomes["in_place"].problems
    assert "it is damaged: its bytes do not match its seal" in problem
    assert (outcomes["in_place"].kills, outcomes["in_place"].loaded) == (1, 0)


def test_100_trials_cover_every_system_call_of_a_checkpoint(folder):
    calls = json.loads((folder / "calls.json").read_text())
    settings = [Setting("LunarLander-v3"), Setting("CartPole-v1")]
    chosen = plan.scenarios(100, random.Random(0), settings, dict.fromkeys(settings, calls))
    assert len(chosen) == 100
    assert {one.kind for one in chosen} == set(plan.KINDS)
    for setting in settings:
        points = [Point.parse(s.kills[0].point) for s in chosen if (s.kind, s.setting) == (plan.KINDS[0], setting)]
        write = "open write fsync close unlink link replace unlink replace open fsync close".split()  # noqa: SIM905
        assert {(p.call, p.name) for p in points if p.when == "before"} == set(enumerate(write, 1))
        assert {(p.call, p.name) for p in points if p.when == "after"} == set(enumerate(write, 1))
        assert [(p.call, p.name) for p in points if p.when == "half"] == [(2, "write")]


def test_the_calls_of_a_file_are_told_apart_from_those_of_others(tmp_path, monkeypatch):
    watched = WatchedOS(None)
    monkeypatch.setattr(files, "os", watched)
    files.write_whole(tmp_path / "a", b"1")
    log = files.AppendFile(tmp_path / "events.out.tfevents.1")
    log.append(b"2")
    files.write_whole(tmp_path / "a", b"3")
    whole = ["open", "write", "fsync", "close", "replace", "open", "fsync", "close"]
    assert watched.calls == {
        "a": [whole, whole],
        "events": [["open", "fstat", "close"], ["open", "fstat", "write", "close"]],
    }
    assert Point.parse(str(Point("a", 2, 5, "replace", "after"))) == Point("a", 2, 5, "replace", "after")


def another_digit(path):
    path.write_bytes(path.read_bytes()[:-2] + b"7\n")


def another_bit(path):
    arrays, attributes = unpack(path.read_bytes())
    arrays["environments/rng_now"][0, 0] ^= 1
    path.write_bytes(pack(arrays, attributes))


def shorter(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("name", "spoil", "found"),
    [
        ("metrics.csv", another_digit, "metrics.csv"),
        ("evaluations.csv", another_digit, "evaluations.csv"),
        ("events*", shorter, "TensorBoard events"),
        ("checkpoint.h5", another_bit, "checkpoint.h5: environments/rng_now"),
        ("best.h5", another_bit, "best.h5: environments/rng_now"),
        ("checkpoint.h5", lambda path: path.with_name(".x.tmp").touch(), ".x.tmp is left"),
    ],
)
def test_any_difference_is_found(folder, tmp_path, name, spoil, found):
    copy = shutil.copytree(folder / "whole", tmp_path / "copy")
    assert differences(folder / "whole", copy) == []
    (path,) = copy.glob(name)
    spoil(path)
    assert differences(folder / "whole", copy) == [found]


def test_any_damage_is_found(folder, tmp_path):
    copy = shutil.copytree(folder / "whole", tmp_path / "copy")
    assert damage(copy) == ""
    shorter(copy / "checkpoint.prev.h5")
    assert "checkpoint.prev.h5" in damage(copy)
    (copy / "checkpoint.prev.h5").unlink()
    assert damage(copy) == ""
    shorter(copy / "checkpoint.h5")
    assert "it is damaged" in damage(copy)
