"""--override: settings that change when a run goes on, what is recorded of them, and what is refused."""

import csv
import json

import pytest
from durability.kill.compare import differences, rows
from resuming import CARTPOLE, contents, go_on, stopped, train

from ppo_np.running import cli
from ppo_np.running.resume import OVERRIDABLE
from ppo_np.running.saver import Saver
from ppo_np.saving.checkpoint import read_checkpoint

OTHER = ["--learning-rate", "0.0001", "--no-anneal-lr", "--ent-coef-schedule", "cosine", "--num-minibatches", "4"]
OVERRIDE = ["--override", *OTHER]
RECORDS = [
    {"step": 64, "setting": "num_minibatches", "from": 2, "to": 4},
    {"step": 64, "setting": "learning_rate", "from": 0.003, "to": 0.0001},
    {"step": 64, "setting": "anneal_lr", "from": True, "to": False},
    {"step": 64, "setting": "ent_coef_schedule", "from": None, "to": "cosine"},
]


def document(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.fixture
def half(tmp_path, monkeypatch):
    """A run that was stopped after 64 of 256 steps."""
    return stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A run that was stopped there, and went to its end with other settings."""
    with pytest.MonkeyPatch.context() as patch:
        folder = stopped(patch, tmp_path_factory.mktemp("changed") / "run", *CARTPOLE, at=40)
    return go_on(folder, *OVERRIDE)


def test_the_run_says_from_which_step_on_which_setting_changed(changed):
    assert document(changed)["overrides"] == RECORDS
    assert document(changed)["config"]["learning_rate"] == 0.0001
    with open(changed / "overrides.csv", newline="") as file:
        expected = [{name: str(value).replace("None", "") for name, value in one.items()} for one in RECORDS]
        assert list(csv.DictReader(file)) == expected
    rates = [float(row["learning_rate"]) for row in rows(changed / "metrics.csv")]
    assert rates == [0.003, 0.003 * 7 / 8, *[0.0001] * 6]
    assert read_checkpoint(changed / "checkpoint.h5").config.learning_rate == 0.0001


def test_one_line_is_printed_and_a_run_without_changes_has_no_such_file(half, capsys):
    capsys.readouterr()
    go_on(half, "--override", "--clip-coef", "0.1", "--log-every", "3")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("from step")]
    assert lines == ["from step 64 on: clip_coef 0.1 (was 0.2)"]
    go_on(half, "--override", "--total-timesteps", "32")
    assert [one["setting"] for one in document(half)["overrides"]] == ["clip_coef"]


def test_a_run_that_nothing_overrides_has_an_empty_list_and_no_file(half):
    assert (document(half)["overrides"], (half / "overrides.csv").exists()) == ([], False)


@pytest.mark.parametrize("at", [1, 50])
def test_a_stop_after_an_override_changes_nothing(changed, half, monkeypatch, at):
    stopped(monkeypatch, half, *OVERRIDE, at=at, start=go_on)
    assert differences(changed, go_on(half)) == []
    assert document(half)["overrides"] == RECORDS


def kept_saves(monkeypatch, number):
    """Let only the first saves of the next run take place, as if it was killed after them."""
    save, calls = Saver.save, []

    def counted(saver):
        calls.append(1)
        if len(calls) <= number:
            save(saver)

    monkeypatch.setattr(Saver, "save", counted)


@pytest.mark.parametrize("saves", [0, 1])
def test_a_kill_right_after_an_override_keeps_all_of_it_or_nothing(changed, half, tmp_path, monkeypatch, saves):
    with monkeypatch.context() as patched:
        kept_saves(patched, saves)
        stopped(patched, half, *OVERRIDE, at=3, start=go_on)
    go_on(half)
    whole = changed if saves else train(tmp_path / "whole", *CARTPOLE)
    assert differences(whole, half) == []
    assert document(half)["overrides"] == (RECORDS if saves else [])


def test_a_new_learning_rate_replaces_the_adapted_one(tmp_path, monkeypatch):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, "--kl-adaptive-lr", "1e-9", at=40)
    assert read_checkpoint(folder / "checkpoint.h5").adaptive_lr == pytest.approx(0.003 / 1.5**2)
    stopped(monkeypatch, folder, "--override", "--kl-adaptive-max-lr", "0.004", at=40, start=go_on)
    go_on(folder, "--override", "--learning-rate", "0.002")
    rates = [float(row["learning_rate"]) for row in rows(folder / "metrics.csv")]
    assert rates == pytest.approx([0.003 / 1.5**n for n in range(4)] + [0.002 / 1.5**n for n in range(4)])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--learning-rate", "1"],
            "must be 0.0001 as in the run that --resume continues, or be changed with --override.",
        ),
        (["--override", "--num-envs", "4"], "num_envs is 4, but it must be 2 as in the run that --resume continues; "),
        (["--override", "--seed", "1"], f"; --override can change {', '.join(OVERRIDABLE)}."),
        (["--override", "--shared-sizes", "9"], "shared_sizes is (9,), but it must be (8,)"),
        (["--override", "--norm-obs"], "norm_obs is True, but it must be False"),
        (["--override", "--init-from", "x"], "but it must be None as in the run that --resume continues."),
    ],
)
def test_what_is_refused(changed, capsys, flags, message):
    before = contents(changed)
    capsys.readouterr()
    go_on(changed, *flags, code=cli.BAD_ARGUMENTS)
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")
    assert contents(changed) == before


def test_override_needs_resume(tmp_path, capsys):
    train(tmp_path / "run", *CARTPOLE, "--override", code=cli.BAD_ARGUMENTS)
    assert "override is True, but it must be given with --resume." in capsys.readouterr().err
