"""The comparison with peers: what needs no peer. Contestants of this clone, the race, pictures."""

import dataclasses
import json
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import charts
import contest
import end_to_end
import protocol
import solve
from contest import Contestant, limits
from protocol import Job, from_json
from referee import Race, Referee
from turns import Pace, Seat

BENCH = contest.HERE
ALONE = Contestant("environment alone", "run_bare.py")
ONE_EACH = Contestant("ppo_np", "minibatch_ours.py")


def test_a_job_travels_as_json():
    job = Job(shared_sizes=(8, 4), threads=2)
    assert from_json(Job, json.dumps(dataclasses.asdict(job))) == job
    assert (job.batch_size, job.minibatch_size, job.total_timesteps) == (512, 128, 1_000_000_000)


def test_memory_is_that_of_this_process():
    before = protocol.peak_memory_mb()
    block = bytearray(64 * 1024 * 1024)
    block[::4096] = b"x" * len(block[::4096])
    assert 10 < before < protocol.peak_memory_mb() < 100_000


@pytest.mark.parametrize("vectorization", ["sync", "vector"])
def test_ours_and_the_environment_alone_work_in_slices(vectorization):
    job = Job(env_id="CartPole-v1", vectorization=vectorization, num_envs=8, num_steps=16)
    for contestant in (end_to_end.OURS, ALONE):
        with Seat(contestant, job, Pace(timeout=60)) as seat:
            assert seat.introduction["num_envs"] == 8 and seat.introduction["versions"]["numpy"]
            told = [seat.go(2), seat.go(3)]
        assert not seat.why and all(one["seconds"] > 0 and one["peak_memory_mb"] > 10 for one in told)
        for one, rows in zip(told, (2 * 16 * 8, 3 * 16 * 8), strict=True):
            assert one["steps"] == rows if vectorization == "sync" else 0.8 * rows < one["steps"] < rows


def test_ours_does_minibatches_in_slices():
    with Seat(ONE_EACH, Job(), Pace(timeout=60)) as seat:
        told = seat.go(5)
    assert told["steps"] == 5 and 0 < told["seconds"] < 60


def test_each_row_does_the_same_work_for_all():
    assert list(end_to_end.ROWS) == list("abcdefghij")
    for name, row in end_to_end.ROWS.items():
        assert row.contestants[0] == (end_to_end.RANKS if name in end_to_end.ON_RANKS else end_to_end.OURS)
        assert all((BENCH / "peers" / contestant.script).is_file() for contestant in row.contestants)
        assert row.job.batch_size % row.job.num_minibatches == 0


def test_a_peer_that_fails_or_hangs_is_left_out_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(contest, "PEERS", tmp_path)
    (tmp_path / "fails.py").write_text("raise SystemExit('no luck')")
    (tmp_path / "hangs.py").write_text("import time; time.sleep(60)")
    assert Contestant("one", "fails.py").run(Job(), 20)["skipped"] == "one failed: no luck"
    assert Contestant("two", "hangs.py").run(Job(), 0.5)["skipped"] == "two took longer than 0.5 s"


def test_threads_are_limited_in_every_library():
    one = limits(1)
    assert {one[f"{pool}_NUM_THREADS"] for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"1"}
    assert "multi_thread_eigen=false" in one["XLA_FLAGS"] and one["NPROC"] == "1"


def test_unsolved_races_are_longer_than_any():
    curve = [{"step": 1000, "seconds": 3.0}, {"step": 3000, "seconds": 7.0}]
    about = {"name": "x", "commit": "c", "jobs": 1, "curve": curve}
    runs = [about | {"solved_seconds": s, "solved_step": s and 100 * s} for s in (30.0, None, 50.0)]
    found = {"contestant": "x", "solved": 2, "seeds": 3, "median": 50, "min": 30, "max": None}
    found |= {"steps": 5000, "step_us": 2000}
    assert solve.summary(runs) == found | {"jobs": 1, "commits": ["c"]}
    assert solve.summary([{"name": "x", "skipped": "why"}]) == {"contestant": "x", "skipped": "why"}


def test_the_referee_checks_when_due_and_stops_the_clock(monkeypatch):
    race = Race(started=time.time() - 100, check_every=1000)
    referee, mean_returns = Referee(race), iter([[150.0, 160.0], [190.0, 220.0]])

    def played(act, race):
        time.sleep(0.2)
        return next(mean_returns)

    monkeypatch.setattr("referee.greedy_returns", played)
    assert not referee.solved(999, None) and not referee.curve
    assert not referee.solved(1024, None)
    assert not referee.solved(1536, None)
    assert referee.verdict()["solved_seconds"] is None
    assert referee.solved(2048, None)
    verdict = referee.verdict()
    assert verdict["solved_step"] == 2048 and 100 <= verdict["solved_seconds"] < 100.2
    assert verdict["evaluation_seconds"] >= 0.4


def test_greedy_episodes_are_those_of_one_environment_after_another():
    import gymnasium
    from referee import greedy_returns

    race = Race(started=0, env_id="CartPole-v1", episodes=5, first_seed=3)
    expected = []
    for seed in range(3, 8):
        env, total, ended = gymnasium.make("CartPole-v1"), 0.0, False
        obs, _ = env.reset(seed=seed)
        while not ended:
            obs, reward, terminated, truncated, _ = env.step(int(obs[2] > 0))
            total, ended = total + reward, terminated or truncated
        expected.append(total)
    assert greedy_returns(lambda obs: (obs[:, 2] > 0).astype(int), race) == expected


def test_pictures_are_drawn(tmp_path):
    row = {"title": "row", "results": [{"contestant": "ppo_np", "median": 3, "min": 2, "max": 5}, {"skipped": "why"}]}
    charts.bars({"a": row, "b": row}, tmp_path / "bars.png")
    runs = [
        {"name": "x", "curve": [{"seconds": 1, "mean_return": -5}, {"seconds": 9, "mean_return": 210}]},
        {"name": "y"},
    ]
    charts.curves(runs, 200, tmp_path / "curves.png")
    assert (tmp_path / "bars.png").stat().st_size > 1000 < (tmp_path / "curves.png").stat().st_size
