"""The benchmarks that take ours apart: limit.py, where.py, scaling.py and start.py."""

import dataclasses
import sys
from itertools import accumulate
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import charts
import limit
import scaling
import slices
import start
import where
from gym_envs import Alone
from protocol import Job
from slices import Training

QUICK = Job(
    env_id="CartPole-v1", vectorization="vector", num_envs=8, num_steps=16, policy_sizes=(16,), value_sizes=(16,)
)


def test_training_goes_on_slice_by_slice_and_tells_seconds_a_step():
    training = Training(QUICK)
    assert training.ppo.update == 1
    before = training.ppo.global_step
    seconds = training.seconds_a_step(0.05)
    assert training.ppo.update == 1 + len(training.metrics) > 1
    parts = sum(one.time_env + one.time_inference + one.time_update for one in training.metrics)
    assert 0 < parts / (training.ppo.global_step - before) < seconds


def test_calls_and_steps_are_timed_by_their_number():
    clock = accumulate([0.0] + [0.25] * 100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "perf_counter", lambda: next(clock))
        assert slices.per_call(lambda: None, 1.0) == pytest.approx((1.0 + 0.25) / 4)
    assert 0 < slices.alone_seconds(Alone(QUICK), 0.01) < 0.01


def test_products_are_those_of_forward_and_backward_pass(monkeypatch):
    shapes = []
    monkeypatch.setattr(limit.np, "dot", lambda a, b, out: shapes.append((a.shape, b.shape, out.shape)))
    limit.products([(8, 32), (32, 4)], 5, False)()
    assert shapes == [((5, 8), (8, 32), (5, 32)), ((5, 32), (32, 4), (5, 4))]
    shapes.clear()
    limit.products([(8, 32), (32, 4), (8, 2)], 5, True, (0, 2))()
    assert sorted(out for _, _, out in shapes) == [(5, 2), (5, 4), (5, 32), (5, 32), (8, 2), (8, 32), (32, 4)]


def test_the_limit_takes_the_best_number_of_threads_part_by_part_and_the_share_round_by_round():
    # The environments' second column is only another measurement of the same, a little quicker by chance.
    one, two = (dict(zip(limit.PARTS, parts, strict=True)) for parts in ((6.0, 1.0, 4.0, 1.0), (5.9, 1.5, 2.0, 1.0)))
    rounds = [
        {1: {"ours": 20.0 * k} | {name: k * value for name, value in one.items()},
         2: {"ours": 30.0 * k} | {name: k * value for name, value in two.items()}}
        for k in (1, 2)
    ]  # fmt: skip
    found = limit.judged(rounds, {limit.ENVIRONMENT: 1})
    assert found["threads"] == {"ours": 1} | dict(zip(limit.PARTS, [1, 1, 2, 1], strict=True))
    assert found["share"] == {"q1": 0.5, "median": 0.5, "q3": 0.5} and found["limit"]["median"] == 15
    assert found["on_ranks"] == 1.5 * (6 / 2 + 1 / 2 + 2 + 1)
    assert limit.judged(rounds, {limit.ENVIRONMENT: 2})["on_ranks"] == 1.5 * (6 + 1 / 2 + 2 + 1)


def test_everything_of_the_limit_takes_time():
    job = dataclasses.replace(QUICK, vectorization="sync")
    training = Training(job)
    told = limit.one_round({1: training}, limit.parts(job, training, 0.02), 0.02)
    assert len(told[1]) == 5 and all(0 < value < 1e6 for value in told[1].values())


@pytest.mark.parametrize("vectorization", ["sync", "vector"])
def test_the_parts_of_a_step_sum_up_to_its_time(vectorization):
    found = where.measure(dataclasses.replace(QUICK, vectorization=vectorization), 2, 0.05)
    assert sum(found["parts"].values()) == pytest.approx(found["total"])
    alone = {name: found["measured"][name] for name in ("act", "sample", "gather", "loss", "passes", "optimizer")}
    assert all(0 < value < found["total"] for value in alone.values())
    assert found["parts"][where.REST] < found["total"]


def test_curves_have_a_point_for_each_size_and_a_limit(monkeypatch, tmp_path):
    monkeypatch.setitem(scaling.CURVES, "width", (scaling.width, (8, 16), "products"))
    monkeypatch.setitem(scaling.CURVES, "environments", (scaling.cartpole, (1, 2), "environment"))
    curves = {name: scaling.curve(name, 1, 0.01, 1e12) for name in ("width", "environments")}
    for found in curves.values():
        assert len(found["limit"]) == len(found["ours"]["1"]) == len(found["ours"]["2"]) == 2
    assert curves["width"]["limit"][0] > curves["width"]["limit"][1] > max(curves["width"]["ours"]["1"])
    charts.scaling(curves, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 1000


def test_the_jobs_of_all_curves_have_whole_minibatches():
    for job_at, points, _ in scaling.CURVES.values():
        for point in points:
            assert job_at(point).batch_size % job_at(point).num_minibatches == 0
    assert [scaling.minibatch(rows).minibatch_size for rows in (64, 8192)] == [64, 8192]


def test_an_import_is_timed_and_its_libraries_are_told(monkeypatch):
    monkeypatch.setattr(start, "TOO_EARLY", ("colorsys", "chunk"))
    seconds, early = start.imported("import colorsys")
    assert 0 < seconds < 60 and early == ["colorsys"]
    assert start.imported("import ppo_np")[1] == []


def test_the_first_update_is_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "ONE_UPDATE", 256)
    monkeypatch.setattr(start, "FLAGS", ["--preset", "cartpole"])
    assert 0.1 < start.first_update(None, tmp_path, 60) < 60


def test_a_training_that_fails_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "FLAGS", ["--env-id", "No-Such-v0"])
    with pytest.raises(RuntimeError, match="ended without an update"):
        start.first_update(None, tmp_path, 60)
