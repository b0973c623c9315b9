"""Taking turns in slices: a contestant's clock, contests of contestants that are made up here, and of ours."""

import io
import json
import time
from itertools import pairwise
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from bench.contests import end_to_end, pendulum, presets, solve, turns
from bench.contests.contest import Contestant
from bench.contests.end_to_end import ON_RANKS, ONE, OURS, RANKS, RLTOOLS, ROWS, TWO
from bench.contests.turns import Pace, Seat, compete, ratios, spread
from bench.machine import machine, name_of
from bench.peers import referee
from bench.peers.alone import Alone, alone_of
from bench.peers.protocol import Clock, Job, Race
from bench.report import target_kinds
from ppo_np.environments.compiled_envs import CompiledVectorEnv

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
QUICK = Pace(rounds=3, seconds=0.03, timeout=3)


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
    found = compete([fake(name, write + SLEEP) for name in ("ours", "b", "c")], Job(), QUICK)
    assert [len(one["rates"]) for one in found] == [7, 3, 3]
    changes = [b for a, b in pairwise(["", *log.read_text().split()]) if a != b]
    assert changes[-13:] == ["ours", "b", "ours", "c"] * 3 + ["ours"]


def test_contestants_that_die_or_hang_are_left_out_and_the_others_go_on(fake):
    bad = [
        fake("dead", before="raise RuntimeError('no luck')"),
        fake("tired", each="n > 60 and sys.exit('enough'); " + SLEEP),
        fake("stuck", each="time.sleep(60)"),
    ]
    ours, *left_out, last = compete([fake("ours"), *bad, fake("last")], Job(), QUICK)
    sentences = ["dead failed: RuntimeError: no luck", "tired failed: enough", "stuck took longer than 3 s"]
    assert [(one["skipped"], one["threads"]) for one in left_out] == [(sentence, None) for sentence in sentences]
    assert len(ours["rates"]) == 13 and len(last["rates"]) == 3 and last["ratio"]["median"] > 0


def test_the_best_number_of_threads_is_chosen(fake):
    (one,) = compete([fake("ours", "time.sleep(0.009 / job.threads)", threads=(1, 3, 2))], Job(), QUICK)
    assert one["threads"] == 3 and list(one["trials"]) == [1, 3, 2] and len(one["rates"]) == 3


def test_a_ratio_is_of_a_slice_and_ours_around_it():
    ours, peer, other = SimpleNamespace(), SimpleNamespace(), SimpleNamespace()
    order = [(ours, 100), (peer, 50), (ours, 300), (other, 1), (ours, 100), (peer, 20)]
    told = [(seat, {"steps": rate, "seconds": 1, "rate": rate}) for seat, rate in order]
    assert ratios(told, ours, peer) == [4] and ratios(told, ours, other) == [200]
    assert spread([1, 2, 3, 4, 5]) == {"q1": 2, "median": 3, "q3": 4}
    assert spread([7]) == {"q1": 7, "median": 7, "q3": 7}


def test_ours_works_in_slices_and_the_environment_alone_leaves_out_reset_rows():
    job = Job(env_id="CartPole-v1", num_envs=8, num_steps=16)
    with Seat(OURS, job, Pace(timeout=60)) as seat:
        told = [seat.go(2), seat.go(3)]
    assert not seat.why and seat.introduction["versions"]["numpy"]
    assert [one["steps"] for one in told] == [2 * 16 * 8, 3 * 16 * 8]
    assert Alone(job).rollout() == 16 * 8
    native = Alone(Job(env_id="CartPole-v1", vectorization="vector", num_envs=8, num_steps=64))
    assert 0.8 < native.rollout() / (64 * 8) < 1


def test_compiled_environments_alone_are_stepped_by_their_kernel(monkeypatch):
    alone = alone_of(Job(env_id="Pendulum-v1", vectorization="compiled", num_envs=3, num_steps=210))
    monkeypatch.setattr(CompiledVectorEnv, "step", None)
    before = alone._bare.envs.observations()
    assert alone.rollout() == 630 and np.isfinite(alone._bare.envs.observations()).all()
    assert not np.array_equal(before, alone._bare.envs.observations())


def test_contestants_that_targets_name_are_in_their_contests():
    assert [one.name for one in ROWS["l"].contestants[:3]] == [ONE.name, TWO.name, RLTOOLS.name]
    assert (ONE.name, TWO.name, RLTOOLS.name) == (target_kinds.ONE, target_kinds.TWO, target_kinds.RLTOOLS)
    names = [contestant.name for contestant, _ in pendulum.CONTESTANTS.values()]
    assert names == [ONE.name, TWO.name, f"{RLTOOLS.name}, 1 thread"]


def test_the_work_of_row_l_is_that_of_the_issue():
    job = ROWS["l"].job
    assert (job.num_envs, job.num_steps, job.minibatch_size, job.update_epochs) == (64, 64, 512, 4)
    assert (job.policy_sizes, job.value_sizes, job.shared_sizes, job.activation) == ((64, 64), (64, 64), (), "tanh")


def test_seconds_on_pendulum_are_compared_seed_by_seed():
    names = [contestant.name for contestant, _ in pendulum.CONTESTANTS.values()]

    def run(name, seed, seconds):
        return {"name": name, "seed": seed, "curve": [{"seconds": seconds, "mean_return": -150.0}]}

    seconds = {names[0]: (1, 2, 6), names[1]: (1, 1, 1), names[2]: (2, 2, 3)}
    runs = [run(name, seed, one) for name, each in seconds.items() for seed, one in enumerate(each)]
    runs[3] = {"name": names[1], "seed": 0, "skipped": "why"}
    one, two, peer = pendulum.results_of(runs)
    assert one["ratio"] == {"min": 0.5, "median": 1, "max": 2} and one["seconds"]["median"] == 2
    assert two["ratio"]["min"] == pytest.approx(1 / 3, rel=1e-4) and two["seeds"] == 2
    assert "ratio" not in peer and peer["seeds"] == 3
    repeated = [run(names[0], 7, 9), {"name": names[0], "seed": 7, "skipped": "why"}, run(names[0], 7, 8)]
    assert pendulum.middle_runs([*repeated, *runs]) == [repeated[0], *runs]


def test_presets_run_with_what_they_say_themselves_after_a_run_that_does_not_count(tmp_path, monkeypatch):
    asked = []

    def run(_self, race, _timeout):
        asked.append(race)
        curve = [{"step": 4096, "seconds": 1.0, "mean_return": 500.0}]
        return {"curve": curve, "solved_seconds": 1.0 if race.seed < 2003 else None, "solved_step": 4096}

    monkeypatch.setattr(Contestant, "run", run)
    monkeypatch.setitem(presets.SEEDS, "cartpole", 3)
    out = tmp_path / "presets.json"
    monkeypatch.setattr("sys.argv", ["command", "--only", "cartpole", "--out", str(out)])
    presets.main()
    assert [race.seed for race in asked] == [2000, 2001, 2002, 2003]
    assert {(race.vectorization, race.total_timesteps, race.threshold) for race in asked} == {(None, None, 500)}
    (found,) = json.loads(out.read_text())["results"]
    assert (found["preset"], found["solved"], found["seeds"], found["max"]) == ("cartpole", 2, 3, None)


def test_each_row_has_ours_first_and_whole_minibatches():
    for name, row in ROWS.items():
        assert row.contestants[0] == (RANKS if name in ON_RANKS else ONE if name == "l" else OURS)
        assert row.job.batch_size % row.job.num_minibatches == 0


def main_of(module, monkeypatch, path, before, *arguments):
    """The JSON file that a contest's command leaves of another one; pictures are not drawn."""
    path.write_text(json.dumps(before | {"arguments": ["--rounds", "3"]}))
    monkeypatch.setattr(module, "curves" if module is solve else "bars", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["command", "--add", "--out", str(path), *arguments])
    module.main()
    return json.loads(path.read_text())


def test_added_rows_and_races_leave_the_others_as_they_were(tmp_path, monkeypatch):
    before = {"rows": {row: {"title": row, "results": []} for row in "bca"}, "versions": {"torch": "2"}}
    monkeypatch.setattr(end_to_end, "compete", lambda *_: [{"contestant": "x", "skipped": "why"}])
    found = main_of(end_to_end, monkeypatch, tmp_path / "rows.json", before, "--only", "b")
    assert list(found["rows"]) == ["a", "b", "c"] and found["rows"]["c"] == before["rows"]["c"]
    assert found["rows"]["b"]["results"] and found["versions"] == {"torch": "2"} and len(found["before"]) == 1

    def run(seed, seconds, name="ppo_np"):
        curve = [{"step": 0, "seconds": 0.0}, {"step": 100, "seconds": 1.0}]
        about = {"name": name, "seed": seed, "commit": "c", "jobs": 1, "curve": curve}
        return about | {"solved_seconds": seconds, "solved_step": 100}

    monkeypatch.setattr(Contestant, "run", lambda self, race, _timeout: run(race.seed, 9.0, self.name))
    before = {"runs": [run(1, 3.0), run(2, 3.0), run(2, 3.0, "sbx")]}
    found = main_of(solve, monkeypatch, tmp_path / "races.json", before, "--seeds", "2", "3", "--only", "ppo_np")
    seconds = {(one["name"], one["seed"]): one["solved_seconds"] for one in found["runs"]}
    assert seconds == {("ppo_np", 1): 3, ("sbx", 2): 3, ("ppo_np", 2): 9, ("ppo_np", 3): 9}
    assert found["results"][0]["seeds"] == 3 and found["results"][0]["min"] == 3


def test_rows_of_the_parts_can_be_measured_one_by_one(tmp_path, monkeypatch, capsys):
    path = tmp_path / "limit.json"
    path.write_text(json.dumps({"limits": {"d": "old", "a": "old"}, "arguments": []}))
    monkeypatch.setattr("sys.argv", ["command", "--add", "--only", "m", "c", "--quick", "--out", str(path)])
    about = "limit", "limits", "abcdem", lambda job, *pace: {"measured": [job.vectorization, *pace]}
    end_to_end.measure_rows(None, *about, lambda document: list(document["limits"]))
    found = json.loads(path.read_text())["limits"]
    of = {row: found[row].pop("machine") for row in "cm"}
    assert of == dict.fromkeys("cm", name_of(machine()))
    new = {"c": {"measured": ["sync", 2, 0.2]}, "m": {"measured": ["compiled", 2, 0.2]}}
    assert found == {"a": "old", "d": "old"} | new
    assert capsys.readouterr().out.split() == list("acdm") == list(found)
    monkeypatch.setattr("sys.argv", ["command", "--only", "ab", "--out", str(path)])
    with pytest.raises(SystemExit):  # two rows in one word
        end_to_end.measure_rows(None, *about, list)


def test_unsolved_races_are_longer_than_any():
    curve = [{"step": 1000, "seconds": 3.0}, {"step": 3000, "seconds": 7.0}]
    about = {"name": "x", "commit": "c", "jobs": 1, "curve": curve}
    runs = [about | {"solved_seconds": s, "solved_step": s and 100 * s} for s in (30.0, None, 50.0)]
    found = {"contestant": "x", "solved": 2, "seeds": 3, "median": 50, "min": 30, "max": None}
    assert solve.summary(runs) == found | {"steps": 5000, "step_us": 2000, "jobs": 1, "commits": ["c"]}


def test_the_referee_checks_when_due_and_stops_the_clock(monkeypatch):
    judge, mean_returns = referee.Referee(Race(started=time.time() - 100, check_every=1000)), iter([150.0, 220.0])
    monkeypatch.setattr(referee, "greedy_returns", lambda act, race: time.sleep(0.2) or [next(mean_returns)])
    assert [judge.solved(step, None) for step in (999, 1024, 1536, 2048)] == [False, False, False, True]
    verdict = judge.verdict()
    assert verdict["solved_step"] == 2048 and 100 <= verdict["solved_seconds"] < 100.2


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
