"""Which runs belong together, which settings differ, and the commands that repeat a run."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from report_runs import make_run, six_runs
from scipy.stats import t

from ppo_np.errors import UserError
from ppo_np.logs.filenames import CONFIG, METRICS
from ppo_np.reporting.command_lines import evaluate_command, obstacles, train_command
from ppo_np.reporting.curves import run_folders
from ppo_np.reporting.groups import Run, as_text, changed_settings, differing_settings, mean_interval, read_groups
from ppo_np.running.options import parse


def test_runs_that_differ_only_in_the_seed_are_one_group(tmp_path):
    groups, notes = read_groups([six_runs(tmp_path)])
    assert notes == []
    assert [(group.letter, group.label, len(group.runs)) for group in groups] == [
        ("A", "CartPole-v1, learning_rate 0.001", 3),
        ("B", "CartPole-v1, learning_rate 0.003", 3),
    ]
    runs = [run for group in groups for run in group.runs]
    assert differing_settings(runs) == ["learning_rate"]
    assert changed_settings(runs) == ["learning_rate"]
    assert differing_settings(runs[:3]) == []
    assert changed_settings(runs[:3]) == ["learning_rate"]  # the preset has another one


def test_labels_join_runs(tmp_path):
    folders = [make_run(tmp_path / name, "--gamma", name) for name in ("0.9", "0.8", "0.7")]
    groups, _ = read_groups(folders, ["ours", "theirs", "ours"])
    assert [(group.label, len(group.runs)) for group in groups] == [("ours", 2), ("theirs", 1)]


def test_a_folder_below_that_is_no_run_is_told_of_and_a_folder_in_a_run_is_no_run(tmp_path):
    run = make_run(tmp_path / "runs" / "good")
    (run / "hub").mkdir()
    (run / "hub" / CONFIG).write_bytes((run / CONFIG).read_bytes())
    assert run_folders(tmp_path / "runs") == [run]
    (make_run(tmp_path / "runs" / "bad") / CONFIG).write_text("{")
    groups, notes = read_groups([tmp_path / "runs"])
    assert [one.folder for group in groups for one in group.runs] == [run]
    bad = str(tmp_path / "runs" / "bad")
    assert notes == [f"RUN is {bad!r}, but it must be a run folder with a readable {CONFIG}. It is left out."]
    with pytest.raises(UserError, match=f"must be a run folder with a readable {CONFIG}.$"):
        read_groups([tmp_path / "runs" / "bad"])


def test_a_curve_goes_on_to_the_end_of_the_run(tmp_path):
    folder = make_run(tmp_path / "run", updates=3)
    rows = (folder / METRICS).read_text().splitlines()
    last = rows[3].split(",")
    last[4:6] = "0", ""  # no episode has ended in the last update
    (folder / METRICS).write_text("\n".join([*rows[:3], ",".join(last)]) + "\n")
    x, y = Run.read(folder).curve("step", "episodic_return", window=100)
    assert x.tolist() == [256, 512, 768]
    assert y.tolist() == [12, 12.5, 12.5]


def test_the_interval_of_a_mean_is_students():
    values = np.array([3.0, 8.0, 1.0, 4.0])
    low, high = t.interval(0.95, 3, values.mean(), values.std(ddof=1) / 2)
    found = mean_interval(values.mean(), values.std(), 4)
    np.testing.assert_allclose([found.mean, found.low, found.high], [4.0, low, high])
    assert np.isnan(mean_interval(4.0, 0.0, 1).low)


COMMANDS = [
    "--preset cartpole --seed 7 --learning-rate 3e-4 --no-anneal-lr --shared-sizes 32 16 --policy-sizes",
    "--preset article --env-id MountainCarContinuous-v0 --log-std state --target-kl 0.02 --ent-coef-schedule cosine",
    "--env-id FrozenLake-v1 --env-kwargs is_slippery=False map_name=8x8 --eval-every 5 --checkpoint-every 3",
    "--preset cartpole --wrappers 'gymnasium.wrappers:TimeAwareObservation(flatten=True)' --max-episode-steps 70",
    "--env-id CartPole-v1 --eval-every 3 --eval-max-episode-steps 20 --video-every 9 --env-timeout inf --norm-reward",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_gives_the_same_options_again(tmp_path, command):
    options = parse(shlex.split(command))
    run = Run.read(make_run(tmp_path / "run", *shlex.split(command)))
    words = shlex.split(train_command(run))
    assert words[:3] == ["python", "-m", "ppo_np.train"]
    assert parse(words[3:]) == options
    assert obstacles(run) == []


def test_the_shortest_command_and_the_policy(tmp_path):
    run = Run.read(make_run(tmp_path / "a run"))
    assert train_command(run) == "python -m ppo_np.train --preset cartpole"
    assert evaluate_command(run, "best.h5") == f"python -m ppo_np.evaluate '{tmp_path / 'a run' / 'best.h5'}'"


def test_what_a_command_cannot_repeat_is_told(tmp_path):
    folder = make_run(tmp_path / "run")
    document = json.loads((folder / CONFIG).read_text())
    document |= {"preset": "gone.toml", "resumed": [512, 1024]}
    document["config"] |= {"learning_rate_schedule": "callable", "gamma": 0.5}
    (folder / CONFIG).write_text(json.dumps(document))
    run = Run.read(folder)
    assert "callable" not in train_command(run)
    assert "--preset article --env-id CartPole-v1" in train_command(run)
    assert parse(shlex.split(train_command(run))[3:]).config.gamma == 0.5
    notes = obstacles(run)
    assert len(notes) == 3
    assert "learning_rate_schedule: a function that was given in Python" in notes[0]
    assert "The preset gone.toml cannot be read here" in notes[1]
    assert "Resumed at step 512, 1,024." in notes[2]


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (1000, "1,000"), (2.5e-4, "0.00025"), ([64, 64], "64 64"), ([], "none"), (None, "none"),
     ("", "none"), ({"a": "1"}, "a=1"), ("tanh", "tanh")],
)  # fmt: skip
def test_settings_as_text(value, text):
    assert as_text(value) == text


def test_a_report_about_a_run_without_rows_is_possible(tmp_path):
    run = Run.read(make_run(tmp_path / "run", updates=0))
    assert (run.steps, run.columns, run.evaluation()) == (0, {}, None)
    assert isinstance(run.folder, Path)
