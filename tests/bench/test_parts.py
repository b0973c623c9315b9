"""The benchmarks that take ours apart: limit, where, scaling and start."""

import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.contests import blocks, limit, scaling, start, where
from bench.contests.parts import Training
from bench.peers.protocol import Job

QUICK = Job(
    env_id="CartPole-v1", vectorization="vector", num_envs=8, num_steps=16, policy_sizes=(16,), value_sizes=(16,)
)


def test_training_goes_on_slice_by_slice():
    training = Training(QUICK)
    before = training.ppo.global_step
    seconds = training.seconds_a_step(0.05)
    assert training.ppo.update == 1 + len(training.metrics) > 1
    parts = sum(one.time_env + one.time_inference + one.time_update for one in training.metrics)
    assert 0 < parts / (training.ppo.global_step - before) < seconds


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
    names = ["ours", limit.ENVIRONMENT, limit.ACTING, limit.LEARNING, limit.MOVING]
    one, two = (dict(zip(names, parts, strict=True)) for parts in ((20, 6, 1, 4, 1), (30, 5.9, 1.5, 2, 1)))
    rounds = [{n: {name: k * x for name, x in column.items()} for n, column in ((1, one), (2, two))} for k in (1, 2)]
    found = limit.judged(rounds, {limit.ENVIRONMENT: 1})
    assert found["threads"] == dict(zip(names, [1, 1, 1, 2, 1], strict=True))
    assert found["share"] == {"q1": 0.5, "median": 0.5, "q3": 0.5} and found["limit"]["median"] == 15
    assert found["on_ranks"] == 1.5 * (6 / 2 + 1 / 2 + 2 + 1)


def test_threads_share_the_parts_of_the_limit_that_they_can_share():
    training = {n: SimpleNamespace(seconds_a_step=lambda _: 8e-6) for n in (1, 2)}
    measured = dict.fromkeys((limit.ENVIRONMENT, limit.ACTING, limit.LEARNING, limit.MOVING), lambda: 1e-6)
    compiled = (limit.ENVIRONMENT, limit.ACTING, limit.LEARNING)
    for shared in ((limit.LEARNING,), compiled):
        found = limit.one_round(training, measured, False, 0.0, shared)
        assert {name for name in measured if found[2][name] == 0.5} == set(shared)
        assert all(found[1][name] == 1 for name in measured)


def test_everything_of_the_limit_takes_time():
    job = dataclasses.replace(QUICK, vectorization="sync")
    training = Training(job)
    told = limit.one_round({1: training}, limit.parts(job, training, 0.02), False, 0.02)
    assert len(told[1]) == 5 and all(0 < value < 1e6 for value in told[1].values())


@pytest.mark.parametrize("vectorization", ["sync", "vector"])
def test_the_parts_of_a_step_sum_up_to_its_time(vectorization):
    found = where.measure(dataclasses.replace(QUICK, vectorization=vectorization), 2, 0.05)
    assert sum(found["parts"].values()) == pytest.approx(found["total"])
    alone = {name: found["measured"][name] for name in ("act", "sample", "gather", "loss", "passes", "optimizer")}
    assert all(0 < value < found["total"] for value in alone.values())


def test_blocks_of_any_size_are_measured(monkeypatch):
    for name in ("BLOCK_ROWS", "FEWEST_BLOCKS"):  # `measure` sets them
        monkeypatch.setattr(blocks.blocks, name, getattr(blocks.blocks, name))
    assert len(blocks.measure(1300, 512, 1)) == 3


def test_curves_have_a_point_for_each_size_and_a_limit(monkeypatch):
    monkeypatch.setitem(scaling.CURVES, "width", (lambda size: scaling.wide(size, num_envs=16), (8, 16), "products"))
    found = scaling.curve("width", 1, 0.01, 1e12)
    assert found["limit"][0] > found["limit"][1] > max(found["ours"]["1"]) and len(found["ours"]["2"]) == 2


def test_the_first_update_and_an_import_are_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "ONE_UPDATE", 256)
    monkeypatch.setattr(start, "TRAIN", ("-m", "ppo_np.train", "--preset", "cartpole"))
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    assert 0.1 < start.first_update(str(tmp_path), cache, 60) < 60
    monkeypatch.setattr(start, "TRAIN", ("-c", "print('step=5 ')"))
    with pytest.raises(RuntimeError, match="ended without an update"):
        start.first_update(str(tmp_path), cache, 60)
    monkeypatch.setattr(start, "TOO_EARLY", ("colorsys", "chunk"))
    assert start.imported("import colorsys")[1] == ["colorsys"]
