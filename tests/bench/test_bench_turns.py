"""Taking turns in slices: the clock of a contestant's process, and contests of contestants that are made up here."""

import io
import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import contest
import turns
from contest import Contestant
from protocol import Clock, Job
from turns import Pace, Seat, compete, ratios, spread

HEAD = f"""
import os, sys, threading, time
sys.path.append({str(contest.PEERS)!r})
from itertools import count
from protocol import take_turns

def measure(job, clock):
    print("a library's chatter")
    {{before}}
    clock.start()
    for n in count(1):
        {{each}}
        clock.mark(10 * n)

take_turns("name", {{packages}}, measure)
"""
SLEEP = "time.sleep(0.002)"
QUICK = Pace(rounds=3, seconds=0.03, timeout=20)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A function that makes a contestant of a line of code for each update."""
    monkeypatch.setattr(contest, "PEERS", tmp_path)
    monkeypatch.setattr(turns, "REST", 0.0)

    def make(name, each=SLEEP, before="pass", packages=(), threads=(1,)):
        script = HEAD.format(each=each, before=before, packages=packages)
        (tmp_path / f"{name}.py").write_text(script)
        return Contestant(name, f"{name}.py", threads)

    return make


def test_the_clock_times_slices_and_not_the_waiting():
    class Asked:
        """Two slices of two updates; the second word comes late."""

        words = iter(["2\n", "2\n", ""])

        def readline(self):
            time.sleep(0.05)
            return next(self.words)

    told = io.StringIO()
    clock = Clock(Asked(), told)
    clock.start()
    with pytest.raises(SystemExit):
        for n in range(1, 5):
            time.sleep(0.01)
            clock.mark(100 * n)
    first, second = map(json.loads, told.getvalue().splitlines())
    assert first["steps"] == second["steps"] == 200
    assert 0.02 <= second["seconds"] < 0.05 <= second["waited"]
    assert second["cpu_seconds"] < 0.02 and second["peak_memory_mb"] > 10


def test_the_first_updates_of_a_slice_need_not_be_timed():
    told = io.StringIO()
    clock = Clock(io.StringIO("2 1\n1\n"), told)
    clock.start()
    with pytest.raises(SystemExit):
        for n, seconds in enumerate((0.2, 0.01, 0.01, 0.01), start=1):
            time.sleep(seconds)
            clock.mark(100 * n)
    first, second = map(json.loads, told.getvalue().splitlines())
    assert (first["steps"], second["steps"]) == (200, 100)
    assert 0.02 <= first["seconds"] < 0.2


def test_contestants_take_turns_and_ours_goes_between_the_others(fake, tmp_path):
    log = tmp_path / "log"
    write = f"open({str(log)!r}, 'a').write(sys.argv[0].split('/')[-1][:-3] + '\\n'); "
    names = ["ours", "b", "c"]
    found = compete([fake(name, write + SLEEP) for name in names], Job(), QUICK, tell=str)
    assert [one["contestant"] for one in found] == names
    assert [len(one["rates"]) for one in found] == [7, 3, 3]
    changes = [b for a, b in pairwise(["", *log.read_text().split()]) if a != b]
    assert changes[-13:] == ["ours", "b", "ours", "c"] * 3 + ["ours"]


def test_ratios_medians_and_idleness_are_told(fake):
    ours, peer = compete([fake("ours"), fake("peer", "time.sleep(0.006)")], Job(), QUICK, tell=str)
    assert 2 < peer["ratio"]["median"] < 4 and "ratio" not in ours
    assert peer["min"] <= peer["median"] <= peer["max"] < 10 / 0.006
    assert ours["cores_used_waiting"] < 0.3 and ours["versions"]["python"] and ours["peak_memory_mb"] > 5


def test_a_contestant_that_spins_while_it_waits_is_found_out(fake):
    spin = "threading.Thread(target=lambda: all(True for _ in iter(int, 1)), daemon=True).start()"
    _, spinner = compete([fake("ours"), fake("peer", before=spin)], Job(), QUICK, tell=str)
    assert spinner["cores_used_waiting"] > 0.3


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ({"packages": ("no-such-package",)}, "no-such-package is not installed: pip install '.[peers]'"),
        ({"before": "raise RuntimeError('no luck')"}, "peer failed: RuntimeError: no luck"),
        ({"each": "n > 60 and sys.exit('enough'); " + SLEEP}, "peer failed: enough"),
        ({"before": "os._exit(3)"}, "peer failed: a library's chatter"),
        ({"each": "time.sleep(60)"}, "peer took longer than 5 s"),
    ],
)
def test_a_contestant_that_is_absent_dies_or_hangs_is_left_out_and_the_others_go_on(fake, lines, sentence):
    pace = Pace(rounds=3, seconds=0.03, timeout=5)
    ours, peer, last = compete([fake("ours"), fake("peer", **lines), fake("last")], Job(), pace, tell=str)
    assert peer == {"contestant": "peer", "trials": peer["trials"], "threads": None, "skipped": sentence}
    assert len(ours["rates"]) == 7 and len(last["rates"]) == 3 and last["ratio"]["median"] > 0


def test_the_best_number_of_threads_is_chosen_and_the_others_are_ended(fake):
    each = "time.sleep(0.009 / job.threads)"
    (one,) = compete([fake("ours", each, threads=(1, 3, 2))], Job(), QUICK, tell=str)
    assert one["threads"] == 3 and list(one["trials"]) == [1, 3, 2] and len(one["rates"]) == 3


def test_a_seat_ends_its_process_even_if_that_hangs(fake):
    with Seat(fake("peer", "time.sleep(60)"), Job(), Pace(timeout=0.3)) as seat:
        seat.warm_up()
    assert seat.why == "peer took longer than 0.3 s"
    assert seat._process.returncode is not None


def test_a_ratio_is_of_a_slice_and_ours_around_it():
    ours, peer, other = SimpleNamespace(), SimpleNamespace(), SimpleNamespace()
    order = [(ours, 100), (peer, 50), (ours, 300), (other, 1), (ours, 100), (peer, 20)]
    told = [(seat, {"steps": rate, "seconds": 1, "rate": rate}) for seat, rate in order]
    assert ratios(told, ours, peer) == [4] and ratios(told, ours, other) == [200]
    assert spread([1, 2, 3, 4, 5], "q1", "q3") == {"q1": 2, "median": 3, "q3": 4}
    assert spread([7], "q1", "q3") == {"q1": 7, "median": 7, "q3": 7}


def test_a_slice_is_about_as_long_as_wanted(fake):
    with Seat(fake("peer"), Job(), Pace(seconds=0.1, timeout=20)) as seat:
        seat.warm_up()
        assert 10 < seat.updates <= 50
        assert seat.turn()["steps"] == 10 * seat.updates


def test_what_libraries_print_is_not_taken_for_an_answer(fake):
    with Seat(fake("peer"), Job(), QUICK) as seat:
        assert seat.go(1)["steps"] == 10
