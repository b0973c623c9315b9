"""Schedules in the commands: files of the user that are missing, fail, have moved, or come with a stranger's file."""

import json
import shutil

import pytest
from commands import run
from durability.kill.compare import differences
from resuming import CARTPOLE, STEPS, go_on, train

from ppo_np import PPO, PPOConfig
from ppo_np import evaluate as evaluate_command
from ppo_np import explain as explain_command
from ppo_np import replay as replay_command
from ppo_np import train as train_command
from ppo_np.running import cli
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.saving.crash_file import crash_of, write_crash

FILE = """
import sys

print("executed", file=sys.stderr)


def falling(left):
    if left <= LAST:
        raise RuntimeError("No more.")
    return 0.003 * left
"""
EXECUTED = "executed\n"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(FILE.replace("LAST", "0"))
    return tmp_path / "mine.py"


def scheduled(file):
    return [*CARTPOLE, "--learning-rate-schedule", f"{file}:falling"]


def test_a_missing_file_leaves_no_folder(tmp_path, capsys):
    train(tmp_path / "run", *scheduled(tmp_path / "none.py"), code=cli.BAD_ARGUMENTS)
    text = f"learning_rate_schedule is '{tmp_path}/none.py:falling', but there is no such file."
    assert capsys.readouterr().err == f"error: {text}\n"
    assert not (tmp_path / "run").exists()


def test_a_function_that_fails_ends_the_run_in_one_sentence_and_the_run_goes_on(tmp_path, file, capsys):
    whole = train(tmp_path / "whole", *scheduled(file))
    file.write_text(FILE.replace("LAST", "0.5"))
    capsys.readouterr()
    folder = train(tmp_path / "run", *scheduled(file), code=cli.BAD_ARGUMENTS)
    text = "learning_rate_schedule raises RuntimeError (No more.) with 0.5 of the run left."
    assert capsys.readouterr().err == f"{EXECUTED}error: {text}\n"
    assert read_checkpoint(folder / "checkpoint.h5").counters["update"] == 4
    moved = file.with_name("moved.py")
    moved.write_text(FILE.replace("LAST", "0"))
    file.unlink()
    go_on(folder, code=cli.BAD_ARGUMENTS)
    assert "there is no such file.\n" in capsys.readouterr().err
    go_on(folder, "--learning-rate-schedule", f"{moved}:falling")
    assert capsys.readouterr().err == EXECUTED
    document = json.loads((folder / "config.json").read_text())
    assert document["config"]["learning_rate_schedule"] == f"{moved}:falling"
    ignored = {"config.json", "checkpoint.h5", "checkpoint.prev.h5"}  # in which the files have other names
    assert [text for text in differences(whole, folder) if not any(name in text for name in ignored)] == []
    ours, theirs = (read_checkpoint(one / "checkpoint.h5") for one in (whole, folder))
    assert ours.counters == theirs.counters
    assert all((theirs.tensors[name] == tensor).all() for name, tensor in ours.tensors.items())


def test_another_kind_of_schedule_is_refused_when_a_run_goes_on(tmp_path, file, capsys):
    folder = train(tmp_path / "run", *CARTPOLE, "--learning-rate-schedule", "cosine", "--total-timesteps", "32")
    for given in ("linear", f"{file}:falling"):
        capsys.readouterr()
        go_on(folder, "--learning-rate-schedule", given, code=cli.BAD_ARGUMENTS)
        text = f"learning_rate_schedule is '{given}', but it must be 'cosine' as in the run that --resume continues"
        assert capsys.readouterr().err == f"error: {text}, or be changed with --override.\n"


def test_a_function_from_python_is_asked_for(tmp_path, file, capsys):
    config = PPOConfig(
        env_id="CartPole-v1", num_envs=2, num_steps=16, num_minibatches=2, update_epochs=2, total_timesteps=STEPS,
        shared_sizes=(8,), learning_rate_schedule=lambda left: 0.003 * left,
    )  # fmt: skip
    PPO(config).learn(lambda ppo, _: ppo.stop()).save(tmp_path / "alone.h5")
    command = "--resume", tmp_path / "alone.h5", "--run-dir", tmp_path / "run"
    assert run(train_command.main, *command) == cli.BAD_ARGUMENTS
    err = capsys.readouterr().err
    assert err.startswith("error: learning_rate_schedule was a function given from Python, which a file cannot hold: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert run(train_command.main, *command, "--learning-rate-schedule", f"{file}:falling") == cli.DONE


def test_a_file_alone_says_which_once_and_before(tmp_path, file, capsys):
    folder = train(tmp_path / "run", *scheduled(file), "--total-timesteps", "64")
    alone = shutil.copy(folder / "checkpoint.h5", tmp_path / "alone.h5")
    notice = f"warning: the schedules of checkpoint '{alone}' run {file}.\n"
    resumed = ["--run-dir", tmp_path / "new", "--total-timesteps", "32", "--resume"]
    for command, flags in ((explain_command, []), (train_command, resumed)):
        capsys.readouterr()
        assert run(command.main, *flags, alone) == cli.DONE
        assert capsys.readouterr().err == notice + EXECUTED
    for command, flags in ((explain_command, []), (train_command, resumed[2:])):
        assert run(command.main, *flags, folder) == cli.DONE
        assert capsys.readouterr().err == EXECUTED


def test_what_does_not_train_does_not_run_it(tmp_path, file, capsys):
    folder = train(tmp_path / "run", *scheduled(file), "--total-timesteps", "64")
    alone = shutil.copy(folder / "checkpoint.h5", tmp_path / "alone.h5")
    with pytest.warns(RuntimeWarning, match="alone.h5"):  # of what `learn` would run
        ppo = PPO.load(alone)
    write_crash(tmp_path / "crash.h5", crash_of(ppo.state, ppo.config, "Said.", "rollout", {}))
    capsys.readouterr()
    assert run(evaluate_command.main, alone, "--episodes", "1") == cli.DONE
    assert run(replay_command.main, tmp_path / "crash.h5") == cli.DONE
    assert capsys.readouterr().err == ""
