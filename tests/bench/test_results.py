"""Results of the presets: the statistics, the page for runs made by hand, which runs `train` does."""

import itertools
import json
import math
import subprocess
import threading
from collections import Counter

import numpy as np
import pytest
from commands import run

from bench.report import results
from bench.report.cases import GENERIC
from bench.report.results_page import PAGE
from ppo_np import train as trainer
from ppo_np.evaluation.statistics import interval, iqm
from ppo_np.running import cli

SCORES = [100.0, 180.0, 220.0, 250.0, 200.0]


def resampled(scores):
    """Every interquartile mean that resampling can give, (..., C) for scores (..., n), and the probability of each."""
    n = np.shape(scores)[-1]
    draws = list(itertools.combinations_with_replacement(range(n), n))
    ways = [math.prod(math.factorial(count) for count in Counter(draw).values()) for draw in draws]
    drawn = np.sort(scores)[..., np.array(draws)]
    return drawn[..., n // 4 : n - n // 4].mean(axis=-1), math.factorial(n) / np.array(ways) / n**n


@pytest.mark.parametrize(("scores", "expected"), [([7], 7), ([3, 1], 2), ([9, 1, 2, 4], 3), (SCORES, 200)])
def test_interquartile_mean_leaves_out_whole_scores(scores, expected):
    assert iqm(scores) == expected


def test_interval_is_what_all_resamples_say():
    low, high = interval(SCORES)
    values, weights = resampled(SCORES)
    # Each end is a value that resampling gives, about 2.5% of the probability lie outside of it, and more with it.
    for inward, end in ((values - low, low), (high - values, high)):
        assert np.isclose(values, end).any()
        assert sum(weights[inward < -1e-9]) < 0.03 and sum(weights[inward < 1e-9]) > 0.02
    assert interval([5.0, 1.0, 3.0]) == (1.0, 5.0) and interval([4.0]) is None


def test_the_page_is_right_about_how_often_an_interval_holds_the_truth():
    values, weights = resampled(np.random.default_rng(0).standard_normal((4000, 5)))
    below = (weights * (values < 0)).sum(axis=1)
    assert np.mean((below > 0.025) & (below < 0.975)) == pytest.approx(0.91, abs=0.01)
    assert "in about 91% of cases with 5\n  seeds, and in 75% with 3" in PAGE  # 1 - 2 / 2**3: all three on one side


def result(preset, seed, mean, threshold=195.0, **more):
    """What `train` stores."""
    return {
        "preset": preset, "env_id": f"{preset}-v0", "seed": seed, "steps": 1_000_448, "wall_time": 100.0 * seed,
        "training_return": 12.34, "episodes": 4, "first_seed": 10_000, "mean": mean, "std": 22.4, "min": mean - 30,
        "max": mean + 30, "reward_threshold": threshold, "success_rate": None if threshold is None else 0.25,
        "versions": {"python": "3.11"}, "machine": {"cpu": "Abacus", "cores": 2}, "commit": "0123456789abcdef",
        "dirty": False, "date": "2026-11-22", "flags": {"jobs": 1, "threads": 1},
    } | more  # fmt: skip


def store(runs, stored, **settings):
    """A run folder with results, made by hand."""
    folder = runs / stored["preset"] / str(stored["seed"])
    folder.mkdir(parents=True)
    config = {
        "seed": stored["seed"], "num_envs": 4, "num_steps": 128, "update_epochs": 3, "num_minibatches": 2,
        "policy_sizes": [64, 64], "activation": "tanh", "learning_rate": 3e-4, "anneal_lr": True, "gamma": 0.99,
        "gae_lambda": 0.95, "clip_coef": 0.2, "ent_coef": 0.0, "norm_adv": True, "norm_obs": False,
    } | settings  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"preset": stored["preset"], "config": config}))
    (folder / "results.json").write_text(json.dumps(stored))


@pytest.fixture
def runs(tmp_path):
    """Five seeds of one preset, and one seed of another, whose environment has no threshold."""
    for seed, score in enumerate(SCORES, start=1):
        store(tmp_path / "runs", result("abc", seed, score))
    store(tmp_path / "runs", result("xyz", 1, -7.0, threshold=None))
    return tmp_path / "runs"


def table(runs):
    out = runs.parent / "page.md"
    assert run(results.main, "table", "--runs", runs, "--out", out) == 0
    return out.read_text().splitlines()


def test_the_page_and_what_it_keeps_of_presets_that_were_not_trained_anew(runs):
    lines = table(runs)
    low, high = interval(SCORES)
    first = f"| abc | abc-v0 | 5 | 1,000,448 | 5.0 min | 3,335 | 200.0 | {low:.1f} to {high:.1f} | 190.0 | 100.0 | 195 "
    expected = [
        first + "| 25.0% | 3 of 5 |",
        "| abc | 2 | 1,000,448 | 3.3 min | 12.3 | 180.0 | 22.4 | 150.0 | 210.0 | 25.0% | 0123456 |",
        "| xyz | 4 x 128 | 3 | 2 | policy 64, 64; tanh | 0.0003, annealed | 0.99 | 0.95 | 0.2 | 0 | adv |",
        "abc, xyz: Trained 2026-11-22 on Abacus, 2 cores; python 3.11; commit 0123456.",
        "python -m bench.report.results train --presets abc --seeds 1 2 3 4 5 --jobs 1 --threads 1",
    ]
    assert set(expected) <= set(lines)
    anew = runs.parent / "anew"
    store(anew, result("xyz", 2, 9.0, threshold=None, date="2026-12-01"))
    again = table(anew)
    assert [line for line in again if line.startswith("| abc")] == [line for line in lines if line.startswith("| abc")]
    assert any(line.startswith("| xyz | 2 |") for line in again) and "| xyz | 1 |" not in "".join(again)


def test_seeds_with_other_settings_are_no_seeds_of_one_preset(runs, capsys):
    store(runs, result("abc", 6, 1.0), learning_rate=1.0)
    assert run(results.main, "table", "--runs", runs, "--out", runs.parent / "page.md") == cli.BAD_ARGUMENTS
    assert "the seeds 1 and 6 of the preset abc differ in the setting learning_rate." in capsys.readouterr().err


@pytest.fixture
def trained(monkeypatch):
    """Training and evaluation that take no time; gives the seeds of the runs that were asked for."""
    done, lock = [], threading.Lock()

    def fake_training(command, **_):
        with lock:  # tyro is not made for several threads
            options = trainer.parse(command[command.index("ppo_np.train") + 1 :])
        done.append(options.config.seed)
        options.run_dir.mkdir()
        document = {"preset": options.preset, "config": options.config.to_dict(), "versions": {}}
        (options.run_dir / "config.json").write_text(json.dumps(document))
        metrics = "step,wall_time,SPS,episodes,episodic_return\n512,1.5,9,2,10\n1024,2.5,9,1,40\n"
        (options.run_dir / "metrics.csv").write_text(metrics)
        return subprocess.CompletedProcess(command, int(options.config.seed == 13))

    def fake_evaluation(path, episodes, seed):
        assert (path.name, episodes, seed) == ("checkpoint.h5", 100, 10_000)
        one = result("cleanrl", 1, 100.0)
        return {f"{name}_return": one[name] for name in ("mean", "std", "min", "max")} | one

    monkeypatch.setattr(results, "commit", lambda: {"commit": "abc", "dirty": True})
    monkeypatch.setattr(results, "evaluate", fake_evaluation)
    monkeypatch.setattr(results.subprocess, "run", fake_training)
    return done


def test_a_case_is_a_preset_with_other_flags_and_has_a_line_on_the_page(trained, tmp_path):
    runs = tmp_path / "runs"
    arguments = "train", "--runs", runs, "--presets", "generic-frozenlake", "--seeds", 1, "--total-timesteps", 1000
    assert run(results.main, *arguments) == 0
    config = json.loads((runs / "generic-frozenlake" / "1" / "config.json").read_text())
    assert (config["preset"], config["config"]["env_id"]) == ("generic-discrete", "FrozenLake-v1")
    assert (config["config"]["env_kwargs"], config["config"]["norm_obs"]) == ({"is_slippery": "False"}, False)
    lines = table(runs)
    flags = "--preset generic-discrete --env-id FrozenLake-v1 --env-kwargs is_slippery=False --no-norm-obs"
    assert f"  - generic-frozenlake: `{flags}` (the generic preset was not tuned on it)" in lines
    assert any(line.startswith("| generic-frozenlake | FrozenLake-v1 | 1 | 1,024 |") for line in lines)
    assert "--presets generic-frozenlake --seeds 1" in "".join(lines)


def test_generic_stands_for_six_environments(trained, tmp_path):
    assert run(results.main, "train", "--runs", tmp_path, "--presets", "generic", "--seeds", 1) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == set(GENERIC) and len(names) == 6


def train(folder, *more):
    return run(results.main, "train", "--runs", folder, "--presets", "cleanrl", *more)


def test_train_does_what_is_missing_and_stores_what_was_reached(trained, tmp_path):
    (tmp_path / "cleanrl" / "2").mkdir(parents=True)
    (tmp_path / "cleanrl" / "2" / "config.json").write_text("{}")  # a run that was cut short
    assert train(tmp_path, "--seeds", 1, 2, "--total-timesteps", 1000, "--jobs", 2) == 0
    stored = json.loads((tmp_path / "cleanrl" / "1" / "results.json").read_text())
    assert set(stored) == set(result("cleanrl", 1, 100.0))
    expected = {"preset": "cleanrl", "env_id": "CartPole-v1", "seed": 1, "steps": 1024, "wall_time": 2.5,
                "training_return": 20.0, "mean": 100.0, "commit": "abc", "dirty": True,
                "flags": {"jobs": 2, "threads": 1, "total_timesteps": 1000}}  # fmt: skip
    assert expected.items() <= stored.items()
    assert train(tmp_path, "--seeds", 2, 3, "--total-timesteps", 1000) == 0
    assert sorted(trained) == [1, 2, 3]


def test_a_failed_run_does_not_stop_the_others(trained, tmp_path, capsys):
    assert train(tmp_path, "--seeds", 12, 13, 14) == cli.FAILED
    assert f"{tmp_path}/cleanrl/13 has failed: training ended with exit code 1, see" in capsys.readouterr().out
    assert sorted(path.parent.name for path in tmp_path.glob("cleanrl/*/results.json")) == ["12", "14"]
