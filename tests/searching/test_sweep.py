"""Sweeps: every run once, failures named, interrupted ones go on; the table."""

import csv
import json
import os
import subprocess
import sys

import pytest
from commands import run

from ppo_np.running import cli
from ppo_np.searching import jobs
from ppo_np.sweep import main

pytest_plugins = "fake_runs"  # the fixtures fake and calls

FLAGS = ["--preset", "cleanrl", "--learning-rate", "0.5", "0.25", "--jobs", "2"]
ONE = ["--preset", "cleanrl", "--learning-rate", "0.5"]  # one setting: flags take a tenth of a second to read
HIGH, LOW = "learning_rate=0.5", "learning_rate=0.25"


@pytest.fixture
def sweep(fake, tmp_path):
    """The exit code of a sweep over two learning rates in tmp_path/sweep."""
    fake({"seed=7": "fails once", "seed=8": "fails", "seed=9": "interrupts"})
    return lambda *arguments: run(main, *FLAGS, "--run-dir", tmp_path / "sweep", *arguments)


@pytest.fixture
def go_on(fake, tmp_path):
    return lambda *arguments: run(main, "--resume", tmp_path / "sweep", *arguments)


def read_table(folder):
    with open(folder / "sweep.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_each_run_is_done_once_and_the_table_has_a_row_a_setting(sweep, tmp_path, calls, capsys):
    folder = tmp_path / "sweep"
    assert sweep("--seeds", 1, 2, 3, 4, 20) == cli.DONE
    done = {f"{setting}/seed={seed}": ["begins"] for setting in (HIGH, LOW) for seed in (1, 2, 3, 4, 20)}
    assert calls(folder) == done
    high, low = read_table(folder)
    assert [high["learning_rate"], low["learning_rate"]] == ["0.5", "0.25"]
    # The interquartile mean of 1, 2, 3, 4, 20 is 3: the lowest and the highest one are left out.
    assert [high["training_return_iqm"], high["greedy_return_iqm"], low["greedy_return_iqm"]] == ["3.0", "53.0", "28.0"]
    assert 51 <= float(high["greedy_return_low"]) < 53 < float(high["greedy_return_high"]) <= 70
    assert [high["seeds"], high["seeds_asked"], high["steps"], high["wall_time"]] == ["5", "5", "1000", "2"]
    out = capsys.readouterr().out
    assert f"{HIGH}/seed=20: done in 0 s: last 100 episodes 20.0, greedy 70.0" in out
    assert "5 of 5" in out

    assert sweep("--seeds", 1, 2, 3, 4, 20, 5) == cli.DONE  # the same again, and a seed more
    assert calls(folder) == done | {f"{setting}/seed=5": ["begins"] for setting in (HIGH, LOW)}
    assert read_table(folder)[0]["seeds"] == "6"

    assert sweep("--seeds", 1, "--gamma", 0.9) == cli.BAD_ARGUMENTS
    there = f"run_dir is {str(folder)!r}, but there {HIGH}/seed=1 is the run --preset cleanrl"
    assert there in capsys.readouterr().err
    assert len(calls(folder)) == 12


def test_a_failed_run_is_named_and_ends_no_other(sweep, tmp_path, calls, capsys):
    folder = tmp_path / "sweep"
    assert sweep("--seeds", 7, 8, 1) == cli.FAILED
    captured = capsys.readouterr()
    for name in (f"{HIGH}/seed=7", f"{LOW}/seed=8"):
        log = folder / f"{name}.log"
        assert f"failed: {name}: exit code 1. the environment is gone. See {log}" in captured.err.splitlines()
        assert "error: the environment is gone." in log.read_text()
    assert captured.err.count("failed: ") == 4
    assert read_table(folder)[0]["seeds"] == "1"
    assert sweep("--seeds", 7, 8, 1) == cli.FAILED  # tried again: seed 7 is cured by that
    assert calls(folder)[f"{HIGH}/seed=7"] == calls(folder)[f"{HIGH}/seed=8"] == ["begins", "goes on"]
    assert calls(folder)[f"{HIGH}/seed=1"] == ["begins"]
    assert read_table(folder)[0]["seeds"] == "2"


def test_ctrl_c_stops_all_runs_and_resume_does_the_rest(sweep, go_on, tmp_path, calls, capfd):
    folder = tmp_path / "sweep"
    assert sweep("--seeds", 1, 9, 2, "--jobs", 1) == cli.INTERRUPTED
    captured = capfd.readouterr()
    assert "saving and stopping all runs" in captured.err
    assert f"{HIGH}/seed=9: stopped" in captured.out
    assert f"to go on: python -m ppo_np.sweep --resume {folder}" in captured.out
    first = {f"{HIGH}/seed=1": ["begins"], f"{LOW}/seed=1": ["begins"], f"{HIGH}/seed=9": ["begins"]}
    assert calls(folder) == first
    assert go_on("--jobs", 1) == cli.INTERRUPTED  # the other run with seed 9
    assert go_on("--jobs", 2) == cli.DONE
    assert calls(folder) == {
        f"{setting}/seed={seed}": ["begins", "goes on"] if seed == 9 else ["begins"]
        for setting in (HIGH, LOW) for seed in (1, 9, 2)
    }  # fmt: skip


def test_no_more_runs_at_a_time_than_jobs(fake, tmp_path, monkeypatch):
    running, start = [], jobs.Pool.start
    monkeypatch.setattr(jobs.Pool, "start", lambda pool, job: (start(pool, job), running.append(len(pool.running))))
    assert run(main, *ONE, "--run-dir", tmp_path / "sweep", "--jobs", 2, "--seeds", *range(6)) == cli.DONE
    assert len(running) == 6
    assert max(running) == 2


def test_a_run_whose_folder_is_in_use_waits(fake, tmp_path, calls, monkeypatch):
    folder = tmp_path / "sweep"
    held = folder / "seed=1"
    held.mkdir(parents=True)
    code = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(); input()"
    command = [sys.executable, "-ISc", code, str(held / ".lock")]
    (folder / "sweep.json").write_text(json.dumps({"arguments": [], "cwd": os.getcwd()}))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        ended = jobs.Pool.ended

        def let_go_when_others_are_done(pool, *arguments):
            if len(calls(folder)) == 1 and not pool.running and other.poll() is None:
                assert "seed=1" not in calls(folder)
                other.communicate(b"\n")
            return ended(pool, *arguments)

        monkeypatch.setattr(jobs.Pool, "ended", let_go_when_others_are_done)
        assert run(main, *ONE, "--run-dir", folder, "--seeds", 1, 2) == cli.DONE
    assert calls(folder)["seed=1"] == ["begins"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds"], "seeds is [], but it must be one seed or more."),
        (["--seeds", 1, 1], "seeds is [1, 1], but it must be seeds that differ."),
        (["--seeds", 2**63], "seed is 9223372036854775808, but it must be below"),
        (["--jobs", -1], "jobs is -1, but it must be an integer from 0 to 1024."),
        (["--greedy-episodes", -1], "greedy_episodes is -1, but it must be an integer >= 0."),
        (["--num-minibatches", 3], "num_minibatches is 3, but it must be a divisor of"),
    ],
)
def test_bad_arguments_leave_nothing(tmp_path, capsys, arguments, sentence):
    assert run(main, *ONE, "--run-dir", tmp_path / "sweep", *arguments) == cli.BAD_ARGUMENTS
    assert capsys.readouterr().err.startswith(f"error: {sentence}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_is_left_alone(sweep, go_on, tmp_path, capsys):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "thesis.txt").touch()
    assert sweep() == cli.BAD_ARGUMENTS
    assert "a new or an empty folder, or one with a sweep.json" in capsys.readouterr().err
    assert go_on() == cli.BAD_ARGUMENTS
    assert "has no sweep.json that can be read" in capsys.readouterr().err
    assert go_on("--gamma", 1) == cli.BAD_ARGUMENTS
    assert "alone, or with --jobs" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == ["thesis.txt"]
