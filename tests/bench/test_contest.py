"""Taking turns in slices: a contestant's clock, contests of contestants that are made up here, and of ours."""

import io
import json
import time
from itertools import pairwise
from types import SimpleNamespace

import gymnasium
import pytest

from bench.contests import solve, turns
from bench.contests.contest import Contestant
from bench.contests.end_to_end import ALONE, OURS, RANKS, ROWS
from bench.contests.turns import Pace, Seat, compete, ratios, spread
from bench.peers import referee
from bench.peers.protocol import Clock, Job, Race
from bench.report import charts

MADE_UP = """
import sys, time
from itertools import count
from bench.peers.protocol import perform

def train(job, clock):
    print("a library's chatter")
    {before}
    clock.start()
    for n in count(1):
        {each}
        clock.mark(10 * n)

perform("name", (), train=train)
"""
SLEEP = "time.sleep(0.002)"
QUICK = Pace(rounds=3, seconds=0.03, timeout=5)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A function that makes a contestant of a line of code for each update."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(turns, "REST", 0.0)

    def make(name, each=SLEEP, before="pass", threads=(1,)):
        (tmp_path / f"made_up_{name}.py").write_text(MADE_UP.format(each=each, before=before))
        return Contestant(name, f"made_up_{name}", threads=threads)

    return make


def test_the_clock_times_slices_and_not_the_waiting_nor_the_first_updates():
    told = io.StringIO()
    clock = Clock(io.StringIO("2 1\n1 0\n"), told)
    clock.start()
    with pytest.raises(SystemExit):
        for n, seconds in enumerate((0.2, 0.01, 0.01, 0.01), start=1):
            time.sleep(seconds)
            clock.mark(100 * n)
    first, second = map(json.loads, told.getvalue().splitlines())
    assert (first["steps"], second["steps"]) == (200, 100)
    assert 0.02 <= first["seconds"] < 0.2 and first["peak_memory_mb"] > 10


def test_contestants_take_turns_and_ours_goes_between_the_others(fake, tmp_path):
    log = tmp_path / "log"
    write = f"open({str(log)!r}, 'a').write(sys.argv[0].split('_')[-1][:-3] + '\\n'); "
    names = ["ours", "b", "c"]
    found = compete([fake(name, write + SLEEP) for name in names], Job(), QUICK, tell=str)
    assert [len(one["rates"]) for one in found] == [7, 3, 3]
    changes = [b for a, b in pairwise(["", *log.read_text().split()]) if a != b]
    assert changes[-13:] == ["ours", "b", "ours", "c"] * 3 + ["ours"]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ({"before": "raise RuntimeError('no luck')"}, "peer failed: RuntimeError: no luck"),
        ({"each": "n > 60 and sys.exit('enough'); " + SLEEP}, "peer failed: enough"),
        ({"each": "time.sleep(60)"}, "peer took longer than 5 s"),
    ],
)
def test_a_contestant_that_dies_or_hangs_is_left_out_and_the_others_go_on(fake, lines, sentence):
    ours, peer, last = compete([fake("ours"), fake("peer", **lines), fake("last")], Job(), QUICK, tell=str)
    assert peer == {"contestant": "peer", "trials": peer["trials"], "threads": None, "skipped": sentence}
    assert len(ours["rates"]) == 7 and len(last["rates"]) == 3 and last["ratio"]["median"] > 0


def test_the_best_number_of_threads_is_chosen(fake):
    (one,) = compete([fake("ours", "time.sleep(0.009 / job.threads)", threads=(1, 3, 2))], Job(), QUICK, tell=str)
    assert one["threads"] == 3 and list(one["trials"]) == [1, 3, 2] and len(one["rates"]) == 3


def test_a_ratio_is_of_a_slice_and_ours_around_it():
    ours, peer, other = SimpleNamespace(), SimpleNamespace(), SimpleNamespace()
    order = [(ours, 100), (peer, 50), (ours, 300), (other, 1), (ours, 100), (peer, 20)]
    told = [(seat, {"steps": rate, "seconds": 1, "rate": rate}) for seat, rate in order]
    assert ratios(told, ours, peer) == [4] and ratios(told, ours, other) == [200]
    assert spread([1, 2, 3, 4, 5], "q1", "q3") == {"q1": 2, "median": 3, "q3": 4}
    assert spread([7], "q1", "q3") == {"q1": 7, "median": 7, "q3": 7}


@pytest.mark.parametrize("vectorization", ["sync", "vector"])
def test_ours_and_the_environment_alone_work_in_slices(vectorization):
    job = Job(env_id="CartPole-v1", vectorization=vectorization, num_envs=8, num_steps=16)
    for contestant in (OURS, ALONE):
        with Seat(contestant, job, Pace(timeout=60)) as seat:
            told = [seat.go(2), seat.go(3)]
        assert not seat.why and seat.introduction["versions"]["numpy"]
        for one, rows in zip(told, (2 * 16 * 8, 3 * 16 * 8), strict=True):
            assert one["steps"] == rows if vectorization == "sync" else 0.8 * rows < one["steps"] < rows


def test_each_row_has_ours_first_and_whole_minibatches():
    for name, row in ROWS.items():
        assert row.contestants[0] == (OURS if name < "f" else RANKS)
        assert row.job.batch_size % row.job.num_minibatches == 0


def test_unsolved_races_are_longer_than_any():
    curve = [{"step": 1000, "seconds": 3.0}, {"step": 3000, "seconds": 7.0}]
    about = {"name": "x", "commit": "c", "jobs": 1, "curve": curve}
    runs = [about | {"solved_seconds": s, "solved_step": s and 100 * s} for s in (30.0, None, 50.0)]
    found = {"contestant": "x", "solved": 2, "seeds": 3, "median": 50, "min": 30, "max": None}
    found |= {"steps": 5000, "step_us": 2000}
    assert solve.summary(runs) == found | {"jobs": 1, "commits": ["c"]}


def test_the_referee_checks_when_due_and_stops_the_clock(monkeypatch):
    judge, mean_returns = referee.Referee(Race(started=time.time() - 100, check_every=1000)), iter([150.0, 220.0])

    def played(act, race):
        time.sleep(0.2)
        return [next(mean_returns)]

    monkeypatch.setattr(referee, "greedy_returns", played)
    assert [judge.solved(step, None) for step in (999, 1024, 1536, 2048)] == [False, False, False, True]
    verdict = judge.verdict()
    assert verdict["solved_step"] == 2048 and 100 <= verdict["solved_seconds"] < 100.2
    assert verdict["evaluation_seconds"] >= 0.4


def test_greedy_episodes_are_those_of_one_environment_after_another():
    expected = []
    for seed in (3, 4, 5):
        env, total, ended = gymnasium.make("CartPole-v1"), 0.0, False
        obs, _ = env.reset(seed=seed)
        while not ended:
            obs, reward, terminated, truncated, _ = env.step(int(obs[2] > 0))
            total, ended = total + reward, terminated or truncated
        expected.append(total)
    race = Race(started=0, env_id="CartPole-v1", episodes=3, first_seed=3)
    assert referee.greedy_returns(lambda obs: (obs[:, 2] > 0).astype(int), race) == expected


def test_pictures_are_drawn(tmp_path):
    row = {"title": "row", "results": [{"contestant": "ppo_np", "median": 3, "min": 2, "max": 5}, {"skipped": "why"}]}
    charts.bars({"a": row, "b": row}, tmp_path / "bars.png")
    runs = [{"name": "x", "curve": [{"seconds": 1, "mean_return": -5}, {"seconds": 9, "mean_return": 9}]}]
    charts.curves(runs, 200, tmp_path / "curves.png")
    found = {"points": [1, 2], "ours": {"1": [2, 3]}, "limit": [4, 5], "limited_by": "products"}
    charts.scaling({"x": found}, tmp_path / "scaling.png")
    assert all(path.stat().st_size > 1000 for path in tmp_path.glob("*.png"))
