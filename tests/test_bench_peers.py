"""The comparison with peers: what needs no peer. The contestants' answers, taking turns, statistics, the ledger."""

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import charts
import contest
import end_to_end
import ledger
import protocol
import solve
from contest import Contestant, choose, compete, limits
from protocol import Clock, Job, from_json
from referee import Race, Referee

BENCH = contest.HERE
SHORT = {"updates": 2, "num_steps": 16}


def spoken(script, job):
    command = [sys.executable, str(BENCH / "peers" / script), json.dumps(job)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def results(**contestants):
    """Results as `compete` gives them, from lists of dictionaries."""
    return [{"contestant": name, "runs": runs, "trials": [], "threads": 1} for name, runs in contestants.items()]


def steps(*numbers, memory=100.0):
    return [{"sps_without_first_update": number, "peak_memory_mb": memory} for number in numbers]


def test_a_job_travels_as_json():
    job = Job(shared_sizes=(8, 4), threads=2)
    assert from_json(Job, json.dumps(dataclasses.asdict(job))) == job
    assert (job.batch_size, job.minibatch_size, job.total_timesteps) == (512, 128, 51_200)


def test_the_clock_leaves_the_first_update_out():
    clock = Clock()
    clock.marks = [(0, 0.0, 0.0), (100, 10.0, 9.0), (200, 11.0, 11.0), (300, 12.0, 13.0)]
    reading = clock.reading()
    assert reading["sps"] == 25 and reading["sps_without_first_update"] == 100
    assert reading["steps"] == 300 and reading["seconds"] == 12 and reading["cores_used"] == 2


def test_memory_is_that_of_this_process():
    before = protocol.peak_memory_mb()
    block = bytearray(64 * 1024 * 1024)
    block[::4096] = b"x" * len(block[::4096])
    assert 10 < before < protocol.peak_memory_mb() < 100_000


def test_hidden_modules_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "not_there", object())
    protocol.hide("not_there")
    with pytest.raises(ImportError):
        import not_there  # noqa: F401


@pytest.mark.parametrize("vectorization", ["sync", "vector"])
def test_ours_and_the_environment_alone_answer(vectorization):
    job = SHORT | {"env_id": "CartPole-v1", "vectorization": vectorization, "num_envs": 8}
    for script in ("run_ours.py", "run_bare.py"):
        answer = spoken(script, job)
        assert answer["env_id"] == "CartPole-v1" and answer["num_envs"] == 8 and answer["threads"] == 1
        assert answer["sps_without_first_update"] > 0 and answer["peak_memory_mb"] > 10 and answer["versions"]["numpy"]
        rows = 2 * 16 * 8
        assert answer["steps"] == rows if vectorization == "sync" else 0.8 * rows < answer["steps"] < rows


def test_ours_answers_for_one_minibatch():
    answer = spoken("minibatch_ours.py", {"updates": 5})
    assert 0 < answer["least"] <= answer["microseconds"] < 1e6


def test_a_peer_that_is_not_installed_is_left_out_with_a_sentence(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["peer", json.dumps(SHORT)])
    protocol.answer("nobody", ("numpy", "no-such-package"), lambda job: pytest.fail("it cannot be measured"))
    assert json.loads(capsys.readouterr().out)["skipped"].startswith("no-such-package is not installed")


def test_a_peer_that_fails_or_hangs_is_left_out_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(contest, "PEERS", tmp_path)
    (tmp_path / "fails.py").write_text("raise SystemExit('no luck')")
    (tmp_path / "hangs.py").write_text("import time; time.sleep(60)")
    assert Contestant("one", "fails.py").run(Job(), 20)["skipped"] == "one failed: no luck"
    assert Contestant("two", "hangs.py").run(Job(), 0.5)["skipped"] == "two took longer than 0.5 s"


class Scripted(Contestant):
    """Answers with a figure of its own, and writes down its turn."""

    def run(self, job, timeout):
        turns.append((self.name, job.threads))
        if self.name == "absent":
            return {"skipped": "absent is not installed", "threads": job.threads}
        return {"figure": {"two": 10, "one": 30}[self.name] * job.threads + len(turns), "threads": job.threads}


turns = []


def test_contestants_take_turns_with_their_best_number_of_threads():
    turns.clear()
    contestants = [Scripted("one", "", (1, 2)), Scripted("absent", ""), Scripted("two", "", (1,))]
    one, absent, two = compete(contestants, Job(), "figure", repeats=3, timeout=1, tell=str)
    assert turns[5:] == [("one", 2), ("two", 1)] * 3
    assert (one["threads"], one["min"], one["median"], one["max"]) == (2, 66, 68, 70)
    assert absent["skipped"] == "absent is not installed" and "median" not in absent
    assert len(two["runs"]) == 3 and len(two["trials"]) == 1


def test_the_best_number_of_threads_is_by_the_figure():
    trials = [{"figure": 3, "threads": 1}, {"figure": 5, "threads": 2}, {"skipped": "", "threads": 4}]
    assert choose(trials, "figure", max) == 2 and choose(trials, "figure", min) == 1
    assert choose(trials[2:], "figure", max) is None


def test_threads_are_limited_in_every_library():
    one = limits(1)
    assert {one[f"{pool}_NUM_THREADS"] for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"1"}
    assert "multi_thread_eigen=false" in one["XLA_FLAGS"] and one["NPROC"] == "1"


def test_each_row_does_the_same_work_for_all():
    assert list(end_to_end.ROWS) == list("abcde")
    for row in end_to_end.ROWS.values():
        assert row.contestants[0].name == ledger.OURS
        assert all((BENCH / "peers" / contestant.script).is_file() for contestant in row.contestants)
        assert row.job.batch_size % row.job.num_minibatches == 0
    names = {name: {one.name for one in row.contestants} for name, row in end_to_end.ROWS.items()}
    assert all(target.peer in names.get(target.row, {target.peer}) | {""} for target in ledger.TARGETS)


@pytest.mark.parametrize(
    ("kind", "limit", "ours", "theirs", "figure", "met"),
    [
        ("faster", 5, steps(900, 1000, 1100), steps(190, 200, 210), 5, True),
        ("faster", 5.1, steps(900, 1000, 1100), steps(190, 200, 210), 5, False),
        ("smaller", 0.6, steps(1, memory=60.0), steps(1, memory=100.0), 0.6, True),
        ("smaller", 0.6, steps(1, memory=61.0), steps(1, memory=100.0), 0.61, False),
        ("shorter", 2, [{"microseconds": 50}], [{"microseconds": 100}], 2, True),
        ("absolute", 55_000, steps(50_000, 55_000, 60_000), [], 55_000, True),
    ],
)
def test_targets_are_judged_by_the_ratio_of_medians(kind, limit, ours, theirs, figure, met):
    peer = "" if kind == "absolute" else "peer"
    target = ledger.Target(row="a", peer=peer, kind=kind, limit=limit)
    found = ledger.judge(target, {"a": {"results": results(ppo_np=ours, peer=theirs)}})
    assert found["figure"] == pytest.approx(figure) and found["met"] is met
    assert found["min"] <= found["figure"] <= found["max"]


def test_what_was_not_measured_is_unknown():
    target = ledger.Target(row="a", peer="peer", limit=1)
    assert ledger.judge(target, {}) == {"why": "not measured"}
    rows = {"a": {"results": [*results(ppo_np=steps(1)), {"contestant": "peer", "skipped": "peer is not installed"}]}}
    assert ledger.judge(target, rows) == {"why": "peer is not installed"}


def test_the_ledger_holds_targets_rows_race_and_provenance():
    whole = [one | contest.summary(one["runs"], "sps_without_first_update") for one in results(ppo_np=steps(60_000))]
    absent = {"contestant": "sbx", "skipped": "sbx-rl is not installed", "runs": [], "trials": [{}]}
    common = {"quick": False, "date": "2026-01-02", "cpu": "CPU", "cores": 2}
    race = {"results": [{"contestant": "ppo_np", "solved": 1, "seeds": 2, "median": 60, "min": 60, "max": None}]}
    text = ledger.page([
        {"benchmark": "end_to_end", "rows": {"e": {"title": "EnvPool", "results": [*whole, absent]}}, **common},
        {"benchmark": "solve", **race, **common},
    ])  # fmt: skip
    assert "| e | steps/s: at least 55,000 | 60,000 | 60,000 to 60,000 | met |" in text
    assert "| sbx | | left out: sbx-rl is not installed | | |" in text
    assert "| ppo_np | 1 of 2 | 60 | 60 to unsolved |" in text
    assert "- solve: 2026-01-02, CPU, 2 cores." in text


def test_unsolved_races_are_longer_than_any():
    runs = [{"name": "x", "solved_seconds": seconds} for seconds in (30.0, None, 50.0)]
    assert solve.summary(runs) == {"contestant": "x", "solved": 2, "seeds": 3, "median": 50, "min": 30, "max": None}
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
