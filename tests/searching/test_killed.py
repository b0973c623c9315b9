"""Real sweeps and searches that are killed: their runs end by themselves, and nothing is lost or repeated."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import run

from ppo_np import train

sys.path.insert(0, str(Path(__file__).parents[1] / "durability" / "kill"))

from processes import processes_of

pytestmark = pytest.mark.faults

STEPS = 64 * 100
SMALL = ["--preset", "article", "--env-id", "CartPole-v1", "--num-steps", "16", "--shared-sizes", "8", "--threads", "1"]
TIMES = {"wall_time", "SPS", "time_env", "time_inference", "time_update"}
PATIENCE = 120  # seconds


def rows(folder):
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


def start(command, *arguments):
    program = [sys.executable, "-m", f"ppo_np.{command}", *map(str, arguments)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, process):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < limit
        time.sleep(0.05)


def kill(process, number=signal.SIGKILL):
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    return process.returncode


def starts(folder):
    """How often each run was begun, and how often it went on, by the commands in the logs."""
    found = {}
    for log in folder.rglob("seed=*.log"):
        commands = [line for line in log.read_text().splitlines() if line.startswith("$ python")]
        again = sum(" --resume " in line for line in commands)
        found[str(log.relative_to(folder).with_suffix(""))] = len(commands) - again, again
    return found


def wait_for_the_end_of(folder):
    limit = time.monotonic() + PATIENCE
    while processes_of(folder):
        assert time.monotonic() < limit, processes_of(folder)
        time.sleep(0.05)


def test_a_sweep_that_is_killed_and_interrupted_ends_like_one_that_is_not(tmp_path):
    folder = tmp_path / "sweep"
    flags = [*SMALL, "--total-timesteps", STEPS, "--checkpoint-every", 1, "--greedy-episodes", 1]
    runs = [folder / f"seed={seed}" for seed in (1, 2, 3)]
    process = start("sweep", *flags, "--seeds", 1, 2, 3, "--jobs", 2, "--run-dir", folder)
    wait_for(lambda: all(len(rows(one)) > 3 for one in runs[:2]), process)
    assert kill(process) == -signal.SIGKILL
    process = start("sweep", "--resume", folder)  # at once, while the runs save themselves
    done = [len(rows(one)) for one in runs[:2]]
    wait_for(lambda: all(len(rows(one)) > n + 3 for one, n in zip(runs, done, strict=False)), process)
    assert kill(process, signal.SIGINT) == 130
    assert processes_of(folder) == {}  # Ctrl-C waits for them
    out, _ = (process := start("sweep", "--resume", folder)).communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    assert "3 of 3" in out
    assert starts(folder) == {"seed=1": (1, 2), "seed=2": (1, 2), "seed=3": (1, 0)}
    for seed, one in enumerate(runs, 1):
        whole = tmp_path / f"whole-{seed}"
        assert run(train.main, *SMALL, "--total-timesteps", STEPS, "--seed", seed, "--run-dir", whole) == 0
        assert rows(one) == rows(whole)
        assert len(rows(one)) == STEPS // 64


def test_runs_end_and_save_when_their_sweep_is_killed(tmp_path):
    flags = [*SMALL, "--total-timesteps", 10**9, "--checkpoint-every", 10**6]
    process = start("sweep", *flags, "--seeds", 1, "--run-dir", tmp_path / "sweep")
    folder = tmp_path / "sweep" / "seed=1"
    wait_for(lambda: len(rows(folder)) > 3, process)
    assert kill(process) == -signal.SIGKILL
    wait_for_the_end_of(tmp_path)
    assert "Training interrupted" in (tmp_path / "sweep" / "seed=1.log").read_text()
    assert (folder / "checkpoint.prev.h5").exists()  # so it was saved twice: at the beginning and at the end


def trial_has_begun(folder, number):
    """Whether both runs of the trial number 1, 2, ... have done some updates."""
    trials = sorted((folder / "trials").glob("trial-*"))
    return len(trials) >= number and all(len(rows(trials[number - 1] / f"seed={seed}")) > 3 for seed in (1, 2))


def test_a_search_that_is_killed_goes_on_with_its_trials(tmp_path):
    import optuna

    folder = tmp_path / "tune"
    flags = ["--env-id", "CartPole-v1", "--num-envs", 4, "--num-steps", 16, "--num-minibatches", 4, "--policy-sizes", 8]
    flags += ["--update-epochs", 4, "--timesteps", STEPS, "--checkpoint-every", 1, "--greedy-episodes", 1]
    process = start("tune", *flags, "--trials", 3, "--jobs", 2, "--run-dir", folder)
    for number in (1, 2):  # in the first trial, and in the second one
        wait_for(lambda number=number: trial_has_begun(folder, number), process)
        assert kill(process) == -signal.SIGKILL
        process = start("tune", "--resume", folder)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    assert "3 complete, 0 pruned, 0 failed" in out
    trials = optuna.load_study(study_name="ppo_np", storage=f"sqlite:///{folder}/study.db").trials
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert [trial.state.name for trial in trials if trial not in complete] == ["FAIL", "FAIL"]
    assert len({json.dumps(trial.params) for trial in complete}) == 3
    found = starts(folder / "trials")
    assert len(found) == 6
    assert {begun for begun, _ in found.values()} == {1}
    assert all(len(rows(folder / "trials" / name)) == STEPS // 64 for name in found)
    assert processes_of(folder) == {}
