"""--override: settings that change when a run goes on, what is recorded of them, and what is refused."""

import csv
import json
import shutil
from dataclasses import replace

import pytest
from durability.kill.compare import differences, rows
from resuming import CARTPOLE, contents, go_on, stopped, train

from ppo_np import PPO, PPOConfig, UserError
from ppo_np.running import cli
from ppo_np.running.resume import OVERRIDABLE, extended, overridden
from ppo_np.running.saver import Saver
from ppo_np.saving.checkpoint import read_checkpoint

FLAGS = [*CARTPOLE, "--checkpoint-every", "100"]
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


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory):
    """A run that was stopped after 64 of 256 steps."""
    with pytest.MonkeyPatch.context() as patch:
        return stopped(patch, tmp_path_factory.mktemp("stopped") / "run", *FLAGS, at=40)


@pytest.fixture
def half(stopped_run, tmp_path):
    """A copy of it."""
    return shutil.copytree(stopped_run, tmp_path / "run")


@pytest.fixture(scope="module")
def changed(stopped_run, tmp_path_factory):
    """A copy of it that went to its end with other settings."""
    return go_on(shutil.copytree(stopped_run, tmp_path_factory.mktemp("changed") / "run"), *OVERRIDE)


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
    go_on(half, "--override", "--clip-coef", "0.1")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("from step")]
    assert lines == ["from step 64 on: clip_coef 0.1 (was 0.2)"]
    assert [one["setting"] for one in document(half)["overrides"]] == ["clip_coef"]


def test_a_run_that_nothing_overrides_has_an_empty_list_and_no_file(half):
    assert (document(half)["overrides"], (half / "overrides.csv").exists()) == ([], False)


def test_a_stop_after_an_override_changes_nothing(changed, half, monkeypatch):
    stopped(monkeypatch, half, *OVERRIDE, at=50, start=go_on)
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
    whole = changed if saves else train(tmp_path / "whole", *FLAGS)
    assert differences(whole, half) == []
    assert document(half)["overrides"] == (RECORDS if saves else [])


def test_a_new_learning_rate_replaces_the_adapted_one_and_new_limits_hold(tmp_path):
    config = PPOConfig(env_id="CartPole-v1", num_envs=2, num_steps=16, shared_sizes=(), kl_adaptive_lr=0.1)
    ppo = PPO(config)
    ppo.state.adaptive_lr = 1e-3
    ppo.save(tmp_path / "run.h5")
    saved = read_checkpoint(tmp_path / "run.h5")
    for others, expected in (
        ({"learning_rate": 2e-3}, 2e-3),
        ({"clip_coef": 0.1}, 1e-3),
        ({"kl_adaptive_max_lr": 5e-4}, 5e-4),
        ({"kl_adaptive_lr": None}, None),
        ({"total_timesteps": 5}, 1e-3),
    ):
        new = replace(config, **others)
        after, records = overridden(saved, new)
        assert len(records) == ("total_timesteps" not in others)
        assert PPO(new, resume=after).state.adaptive_lr == expected


@pytest.mark.parametrize(
    ("override", "others", "message"),
    [
        (
            False,
            {"learning_rate": 1.0},
            "must be 0.00025 as in the run that --resume continues, or be changed with ",
        ),
        (False, {"seed": 1}, "seed is 1, but it must be 42 as in the run that --resume continues."),
        (
            True,
            {"num_envs": 8},
            "num_envs is 8, but it must be 4 as in the run that --resume continues; ",
        ),
        (True, {"seed": 1}, f"; --override can change {', '.join(OVERRIDABLE)}."),
        (True, {"shared_sizes": (9,)}, "shared_sizes is (9,), but it must be (1024, 1024)"),
        (True, {"norm_obs": True}, "norm_obs is True, but it must be False"),
    ],
)
def test_what_is_refused(override, others, message):
    with pytest.raises(UserError) as error:
        extended(PPOConfig(**others), PPOConfig(), None, override)
    assert message in str(error.value)


@pytest.mark.parametrize("flags", [["--learning-rate", "1"], ["--override", "--seed", "1"], ["--init-from", "x"]])
def test_a_refusal_changes_no_file(changed, capsys, flags):
    before = contents(changed)
    capsys.readouterr()
    go_on(changed, *flags, code=cli.BAD_ARGUMENTS)
    captured = capsys.readouterr()
    assert (captured.err.count("\n"), captured.out) == (1, "")
    assert contents(changed) == before


def test_override_needs_resume(tmp_path, capsys):
    train(tmp_path / "run", *CARTPOLE, "--override", code=cli.BAD_ARGUMENTS)
    assert "override is True, but it must be given with --resume." in capsys.readouterr().err
