"""bench/results.py: the statistics, the page for runs made by hand, which runs `train` does, what it refuses."""

import fcntl
import itertools
import json
import math
import re
import subprocess
import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from commands import run

from ppo_np import cli
from ppo_np import train as trainer
from ppo_np.config import PPOConfig

sys.path.append(str(Path(__file__).parent.parent / "bench"))
import results
from results_page import TEXT, commands, interval, iqm, read_results, summary

SCORES = [100.0, 180.0, 220.0, 250.0, 200.0]


def resampled(scores):
    """Every interquartile mean that resampling can give, (..., C) for scores (..., n), and the probability of each."""
    n = np.shape(scores)[-1]
    draws = list(itertools.combinations_with_replacement(range(n), n))
    ways = [math.prod(math.factorial(count) for count in Counter(draw).values()) for draw in draws]
    drawn = np.sort(scores)[..., np.array(draws)]
    return drawn[..., n // 4 : n - n // 4].mean(axis=-1), math.factorial(n) / np.array(ways) / n**n


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([7], 7), ([3, 1], 2), ([9, 1, 2], 4), ([9, 1, 2, 4], 3), (SCORES, 200), ([1, 2, 3, 4, 5, 6, 7, 80], 4.5)],
)
def test_interquartile_mean_leaves_out_whole_scores(scores, expected):
    assert iqm(scores) == expected


def test_interval_is_what_all_resamples_say():
    low, high = interval(SCORES)
    values, weights = resampled(SCORES)
    assert sum(weights) == pytest.approx(1)
    # Each end is a value that resampling gives, about 2.5% of the probability lie outside of it, and more with it.
    for inward, end in ((values - low, low), (high - values, high)):
        assert np.isclose(values, end).any()
        assert sum(weights[inward < -1e-9]) < 0.03
        assert sum(weights[inward < 1e-9]) > 0.02
    assert interval(SCORES[::-1]) == pytest.approx((low, high), rel=0.02)


def test_three_seeds_give_worst_to_best_and_one_gives_none():
    assert interval([5.0, 1.0, 3.0]) == (1.0, 5.0)
    assert interval([4.0] * 5) == (4.0, 4.0)
    assert interval([4.0]) is None


def test_the_page_is_right_about_how_often_an_interval_holds_the_truth():
    values, weights = resampled(np.random.default_rng(0).standard_normal((4000, 5)))
    below = (weights * (values < 0)).sum(axis=1)
    assert np.mean((below > 0.025) & (below < 0.975)) == pytest.approx(0.91, abs=0.01)
    assert "in about 91% of cases with 5\n  seeds, and in 75% with 3" in TEXT
    assert 1 - 2 * 0.5**3 == 0.75  # all three on one side of the median


def result(preset, seed, mean, threshold=195.0):
    """What `train` stores, with an even spread of 4 returns about the mean."""
    returns = [mean - 30, mean - 10, mean + 10, mean + 30]
    share = None if threshold is None else float(np.mean(np.array(returns) >= threshold))
    return {
        "preset": preset, "env_id": f"{preset}-v0", "seed": seed, "steps": 1_000_448, "wall_time": 100.0 * seed,
        "training_return": 12.34, "episodes": 4, "first_seed": 10_000, "mean": mean, "std": float(np.std(returns)),
        "min": min(returns), "max": max(returns), "reward_threshold": threshold, "success_rate": share,
        "returns": returns, "versions": {"python": "3.11", "numpy": "2.0"}, "machine": {"cpu": "Abacus", "cores": 2},
        "commit": "0123456789abcdef", "dirty": False, "date": "2026-11-22",
        "flags": {"jobs": 1, "threads": 1, "total_timesteps": None},
    }  # fmt: skip


def store(runs, stored, **settings):
    """A run folder with results, made by hand."""
    folder = runs / stored["preset"] / str(stored["seed"])
    folder.mkdir(parents=True)
    config = {"seed": stored["seed"], "num_envs": 4, "num_steps": 128, "policy_sizes": [64, 64], "activation": "tanh",
              "learning_rate": 3e-4, "anneal_lr": True, "norm_adv": True, "norm_obs": False} | settings  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"preset": stored["preset"], "config": config}))
    (folder / "results.json").write_text(json.dumps(stored))
    return folder


@pytest.fixture
def runs(tmp_path):
    """Five seeds of one preset, and one seed of another, whose environment has no threshold."""
    folder = tmp_path / "runs"
    for seed, score in enumerate(SCORES, start=1):
        store(folder, result("abc", seed, score))
    store(folder, result("xyz", 1, -7.0, threshold=None))
    return folder


def table(runs, capsys, *more):
    out = runs.parent / "page.md"
    assert run(results.main, "table", "--runs", runs, "--out", out, *more) == 0
    return out.read_text(), capsys.readouterr().out


def test_the_page(runs, capsys):
    text, printed = table(runs, capsys)
    low, high = interval(SCORES)
    lines = text.splitlines()
    assert (
        f"| abc | abc-v0 | 5 | 1,000,448 | 5.0 min | 3,335 | 200.0 | {low:.1f} to {high:.1f} | 190.0 | 100.0 | 195 "
        "| 50.0% | 3 of 5 |" in lines
    )
    assert (
        "| xyz | xyz-v0 | 1 | 1,000,448 | 1.7 min | 10,004 | -7.0 | none | -7.0 | -7.0 | none | none | none |" in lines
    )
    assert "| abc | 2 | 1,000,448 | 3.3 min | 12.3 | 180.0 | 22.4 | 150.0 | 210.0 | 25.0% | 0123456 |" in lines
    settings = "4 x 128 | ? | ? | policy 64, 64; tanh | 0.0003, annealed | ? | ? | ? | ? | adv |"
    assert [line for line in lines if settings in line] == [f"| {preset} | {settings}" for preset in ("abc", "xyz")]
    assert "Trained 2026-11-22 on Abacus, 2 cores; python 3.11, numpy 2.0; commit 0123456." in lines
    assert "from the environment seeds 10,000 to 10,003;" in text
    assert "Not finished" not in text
    assert "3 of 5" in printed


def test_the_rows_of_each_table_are_as_long_as_its_head(runs, capsys):
    text, _ = table(runs, capsys)
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_page_names_its_commands_and_they_can_be_read(runs):
    store(runs, result("ufo", 1, 5.0))
    store(runs, result("two", 1, 5.0) | {"flags": {"jobs": 2, "threads": 1, "total_timesteps": 99}})
    stored, _ = read_results(runs, "results.json")
    options = Namespace(runs=Path("runs/r"), out=Path("docs/p.md"), json=None, keep=None)
    lines = list(commands(stored, options))
    start = "python bench/results.py train --presets"
    assert lines == [
        f"{start} abc --seeds 1 2 3 4 5 --runs runs/r --jobs 1 --threads 1",
        f"{start} two --seeds 1 --runs runs/r --jobs 2 --threads 1 --total-timesteps 99",
        f"{start} ufo xyz --seeds 1 --runs runs/r --jobs 1 --threads 1",
        "python bench/results.py table --runs runs/r --out docs/p.md",
    ]
    for line in lines:
        results.parse(line.split()[2:])


def test_what_differs_among_runs_is_told(runs, capsys):
    store(runs, result("abc", 6, 1.0) | {"dirty": True, "date": "2026-11-23"})
    text, _ = table(runs, capsys)
    assert "Trained 2026-11-22 to 2026-11-23 on" in text
    assert "commit 0123456 and 0123456 + changes." in text


def test_an_unfinished_run_is_named_and_left_out(runs, capsys):
    (runs / "abc" / "3" / "results.json").unlink()
    text, _ = table(runs, capsys)
    assert f"Not finished, so not in the tables: {runs}/abc/3." in text
    assert "| 1 of 4 |" not in text
    assert "| 2 of 4 |" in text


def test_the_numbers_as_json(runs, capsys):
    out = runs.parent / "page.json"
    table(runs, capsys, "--json", out)
    document = json.loads(out.read_text())
    stored, _ = read_results(runs, "results.json")
    assert [row["preset"] for row in document["presets"]] == ["abc", "xyz"]
    assert document["presets"][0] == json.loads(json.dumps(summary(stored[:5])))
    assert [one["mean"] for one in document["runs"]] == [*SCORES, -7.0]


def test_presets_of_an_earlier_page_are_kept(runs, capsys):
    earlier, _ = table(runs, capsys)
    page = runs.parent / "page.md"
    anew = runs.parent / "anew"
    for seed in (1, 2):
        store(anew, result("xyz", seed, 9.0, threshold=None) | {"date": "2026-12-01"}, learning_rate=1.0)
    assert run(results.main, "table", "--runs", anew, "--out", page, "--keep", page) == 0
    text = page.read_text()
    old, new = earlier.splitlines(), text.splitlines()
    assert [line for line in new if line.startswith("| abc ")] == [line for line in old if line.startswith("| abc ")]
    assert [line.split("|")[2].strip() for line in new if line.startswith("| xyz ")] == ["xyz-v0", "1", "2", "4 x 128"]
    about = "on Abacus, 2 cores; python 3.11, numpy 2.0; commit 0123456."
    assert [line for line in new if "Trained" in line] == [
        f"xyz: Trained 2026-12-01 {about}",
        f"abc: Trained 2026-11-22 {about}",
    ]
    listed = [line for line in new if line.startswith("python bench/results.py")]
    assert listed[0] == next(line for line in old if line.startswith("python bench/results.py"))
    assert "train --presets xyz --seeds 1 2" in listed[-2] and listed[-1].endswith(f"--keep {page}")
    # And once more, over the page that was merged: only abc is new now.
    store(runs.parent / "third", result("abc", 1, 3.0))
    assert run(results.main, "table", "--runs", runs.parent / "third", "--out", page, "--keep", page) == 0
    assert [line for line in page.read_text().splitlines() if "Trained" in line] == [
        f"abc: Trained 2026-11-22 {about}",
        f"xyz: Trained 2026-12-01 {about}",
    ]
    arguments = "table", "--runs", anew, "--out", page, "--keep", page, "--json", page.with_suffix(".json")
    assert run(results.main, *arguments) == cli.BAD_ARGUMENTS
    assert "left out with --keep" in capsys.readouterr().err
    page.write_text("| preset | other |\n|---|---|\n")
    assert run(results.main, "table", "--runs", anew, "--out", page, "--keep", page) == cli.BAD_ARGUMENTS
    assert "keep is a page whose tables have other columns" in capsys.readouterr().err


def test_seeds_with_other_settings_are_no_seeds_of_one_preset(runs, capsys):
    store(runs, result("abc", 6, 1.0), learning_rate=1.0)
    assert run(results.main, "table", "--runs", runs, "--out", runs.parent / "page.md") == cli.BAD_ARGUMENTS
    assert "the seeds 5 and 6 of the preset abc differ in the setting learning_rate." in capsys.readouterr().err


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Training and evaluation that take no time; gives the settings of the runs that were asked for."""
    done = []

    def fake_training(command, stdout, **_):
        options = trainer.parse(command[command.index("ppo_np.train") + 1 :])
        done.append(options)
        if options.config.seed == 13:
            return subprocess.CompletedProcess(command, 1)
        options.run_dir.mkdir()
        document = {"preset": options.preset, "config": options.config.to_dict(), "versions": {}}
        (options.run_dir / "config.json").write_text(json.dumps(document))
        metrics = "step,wall_time,SPS,episodes,episodic_return\n512,1.5,9,2,10\n1024,2.5,9,1,40\n"
        (options.run_dir / "metrics.csv").write_text(metrics)
        return subprocess.CompletedProcess(command, 0)

    def fake_evaluation(path, episodes, seed):
        assert (path.name, episodes, seed) == ("checkpoint.h5", 100, 10_000)
        one = result("cleanrl", 1, 100.0)
        names = {f"{name}_return": one[name] for name in ("mean", "std", "min", "max")}
        return names | {name: one[name] for name in ("reward_threshold", "success_rate", "returns")}

    monkeypatch.setattr(results, "commit", lambda: {"commit": "abc", "dirty": True})
    monkeypatch.setattr(results, "evaluate", fake_evaluation)
    monkeypatch.setattr(subprocess, "run", fake_training)
    return done


def train(folder, *more, preset="cleanrl"):
    return run(results.main, "train", "--runs", folder, "--presets", preset, *more)


def test_train_does_what_is_missing_and_stores_what_was_reached(trained, tmp_path):
    assert train(tmp_path, "--seeds", 1, 2, "--total-timesteps", 1000, "--jobs", 2) == 0
    assert sorted(options.config.seed for options in trained) == [1, 2]
    wanted = PPOConfig.preset("cleanrl").to_dict() | {"seed": 1, "threads": 1, "total_timesteps": 1000}
    assert min(trained, key=lambda options: options.config.seed).config.to_dict() == wanted
    stored = json.loads((tmp_path / "cleanrl" / "1" / "results.json").read_text())
    assert set(stored) == set(result("cleanrl", 1, 100.0))
    expected = {"preset": "cleanrl", "env_id": "CartPole-v1", "seed": 1, "steps": 1024, "wall_time": 2.5,
                "training_return": 20.0, "mean": 100.0, "commit": "abc", "dirty": True,
                "flags": {"jobs": 2, "threads": 1, "total_timesteps": 1000}}  # fmt: skip
    assert expected.items() <= stored.items()
    assert train(tmp_path, "--seeds", 2, 3, "--total-timesteps", 1000) == 0
    assert [options.config.seed for options in trained[2:]] == [3]


def test_a_run_that_was_cut_short_is_done_anew(trained, tmp_path):
    folder = tmp_path / "cleanrl" / "1"
    folder.mkdir(parents=True)
    for name in ("config.json", "left_over"):
        (folder / name).write_text("{}")
    assert train(tmp_path, "--seeds", 1) == 0
    assert (folder / "results.json").exists()
    assert not (folder / "left_over").exists()


def test_a_failed_run_does_not_stop_the_others(trained, tmp_path, capsys):
    assert train(tmp_path, "--seeds", 12, 13, 14) == cli.FAILED
    assert f"{tmp_path}/cleanrl/13 has failed: training ended with exit code 1, see" in capsys.readouterr().out
    assert sorted(path.parent.name for path in tmp_path.glob("cleanrl/*/results.json")) == ["12", "14"]


def test_a_run_that_another_process_is_at_is_left_alone(trained, tmp_path, capsys):
    (tmp_path / "cleanrl").mkdir()
    with open(tmp_path / "cleanrl" / "1.log", "w") as log:
        log.write("working")
        log.flush()
        fcntl.flock(log, fcntl.LOCK_EX)
        assert train(tmp_path, "--seeds", 1) == cli.FAILED
    assert "is being trained by another process" in capsys.readouterr().out
    assert trained == []
    assert (tmp_path / "cleanrl" / "1.log").read_text() == "working"


def test_a_folder_that_is_not_ours_is_left_alone(trained, tmp_path, capsys):
    thesis = tmp_path / "cleanrl" / "2" / "thesis.tex"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    assert train(tmp_path, "--seeds", 1, 2) == cli.BAD_ARGUMENTS
    assert "must be a folder whose cleanrl/2 is a run or empty." in capsys.readouterr().err
    assert trained == []
    assert thesis.read_text() == "years of work"


def test_a_finished_run_with_other_settings_is_not_taken_for_one_of_now(trained, tmp_path, capsys):
    assert train(tmp_path, "--seeds", 1, "--total-timesteps", 1000) == 0
    assert train(tmp_path, "--seeds", 1, "--total-timesteps", 1000, "--threads", 2) == 0
    assert train(tmp_path, "--seeds", 1) == cli.BAD_ARGUMENTS
    assert "cleanrl/1 was trained with total_timesteps = 1000, but now it is 500000:" in capsys.readouterr().err
    assert len(trained) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--presets", "nope"], "preset is 'nope', but it must be one of "),
        (["train", "--presets", "cleanrl", "--seeds", "1", "1"], "seeds is [1, 1], but it must be different numbers."),
        (["train", "--presets", "cleanrl", "--seeds", "-1"], "seed is -1"),
        (["train", "--presets", "cleanrl", "--jobs", "0"], "jobs is 0"),
        (["table", "--out", "page.md"], "but it must be a folder with a finished run"),
        (["table", "--out", "no/such/page.md"], "out is 'no/such/page.md', but it must be in a folder that exists."),
        (["table", "--out", "page.md", "--json", "no/page.json"], "json is 'no/page.json'"),
        (["show", "no/run"], "no/run/config.json cannot be read as JSON"),
    ],
)
def test_a_mistake_is_one_sentence(trained, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run(results.main, *arguments) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_commit_is_that_of_this_clone_or_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    assert results.commit() == {"commit": None, "dirty": None}
    monkeypatch.setattr(results.ppo_np, "__file__", str(tmp_path / "ppo_np" / "__init__.py"))
    assert results.commit() == {"commit": None, "dirty": None}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    (tmp_path / "notes.txt").touch()
    clean = results.commit()
    assert len(clean["commit"]) == 40
    assert not clean["dirty"]
    (tmp_path / "ppo_np").mkdir()
    (tmp_path / "ppo_np" / "new.py").touch()
    assert results.commit() == clean | {"dirty": True}


def test_show_prints_a_row_for_a_run_that_was_really_trained(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(results, "EPISODES", 5)
    small = [
        "--preset",
        "article",
        "--env-id",
        "CartPole-v1",
        "--shared-sizes",
        "8",
        "--num-steps",
        "64",
        "--total-timesteps",
        "512",
    ]
    assert run(trainer.main, *small, "--total-timesteps", 512, "--run-dir", tmp_path / "run") == 0
    capsys.readouterr()
    assert run(results.main, "show", tmp_path / "run") == 0
    head, line, row = capsys.readouterr().out.splitlines()
    assert head.startswith("| seed | steps | training time | last 100 training episodes | greedy mean | std | min |")
    assert re.match(r"\| 42 \| 512 \| \d\.\d min \| ", row)
    assert head.count("|") == line.count("|") == row.count("|")
    measured = results.measure(tmp_path / "run")
    assert measured["mean"] == np.mean(measured["returns"])
    assert len(measured["returns"]) == measured["episodes"] == 5
    assert f"| {measured['mean']:.1f} | {measured['std']:.1f} |" in row
