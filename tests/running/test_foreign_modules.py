"""A checkpoint that is in no run folder says which modules it imports, before it does; `replay` imports none."""

import re
import shutil
import sys

import numpy as np
import pytest
import sample_environments  # noqa: F401  registers the test environments
from commands import run
from resuming import BASE, train

from ppo_np import PPO, PPOConfig, load_policy
from ppo_np import evaluate as evaluate_command
from ppo_np import explain as explain_command
from ppo_np import replay as replay_command
from ppo_np import train as train_command
from ppo_np.running import cli
from ppo_np.saving import crash_file

MODULE = """
import sys

import gymnasium

print("imported", file=sys.stderr)
gymnasium.registry.pop("ppo_np_test/Foreign{0}-v0", None)
gymnasium.register("ppo_np_test/Foreign{0}-v0", "gymnasium.envs.classic_control:CartPoleEnv")


class Same(gymnasium.Wrapper):
    pass
"""
FLAGS = [*BASE, "--num-steps", "8", "--env-id"]
BY_WRAPPER = ["CartPole-v1", "--wrappers", "foreign_w:Same", "foreign_w:Same()"]
BY_BOTH = ["foreign_id:ppo_np_test/Foreignid-v0", "--wrappers", "foreign_w:Same"]


def forget():
    for name in ("foreign_id", "foreign_w"):
        sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    for name in ("id", "w"):
        (tmp_path / f"foreign_{name}.py").write_text(MODULE.format(name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget()
    yield
    forget()


@pytest.fixture(params=[(BY_WRAPPER, "foreign_w"), (BY_BOTH, "foreign_id, foreign_w")])
def foreign(request, tmp_path, capsys):
    """A run folder, its checkpoint alone, and the modules that it imports."""
    env, names = request.param
    folder = train(tmp_path / "run", *FLAGS, *env)
    shutil.copy(folder / "checkpoint.h5", tmp_path / "alone.h5")
    forget()
    capsys.readouterr()
    return folder, tmp_path / "alone.h5", names


def notice(path, names):
    return f"the environment of checkpoint '{path}' imports {names}."


COMMANDS = {
    "explain": (explain_command, []),
    "resume": (train_command, ["--run-dir", "new", "--total-timesteps", "32", "--resume"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_file_alone_says_which_once_and_before(foreign, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, alone, names = foreign
    command, flags = COMMANDS[name]
    assert run(command.main, *flags, alone) == cli.DONE
    imports = "imported\n" * len(names.split(", "))
    assert capsys.readouterr().err == f"warning: {notice(alone, names)}\n{imports}"


def test_so_does_an_evaluation(foreign):
    _, alone, names = foreign
    with pytest.raises(RuntimeWarning, match=re.escape(notice(alone, names))):  # pytest makes errors of warnings
        evaluate_command.main([str(alone)])
    assert not {"foreign_id", "foreign_w"} & sys.modules.keys()
    with pytest.warns(RuntimeWarning) as warned:
        assert run(evaluate_command.main, alone, "--episodes", "2") == cli.DONE
    assert [str(warning.message) for warning in warned] == [notice(alone, names)]


def test_loading_says_so_before(foreign):
    folder, alone, names = foreign
    with pytest.raises(RuntimeWarning, match=re.escape(notice(alone, names))):
        PPO.load(alone)
    load_policy(alone)  # which imports nothing
    assert not {"foreign_id", "foreign_w"} & sys.modules.keys()
    PPO.load(folder / "checkpoint.h5").close()


def test_a_run_folder_says_nothing(foreign, capsys):
    folder, _, names = foreign
    imports = "imported\n" * len(names.split(", "))
    for command, *arguments in (
        (evaluate_command, "--episodes", "1", folder),
        (evaluate_command, "--episodes", "1", folder / "checkpoint.h5"),
        (explain_command, folder),
        (train_command, "--total-timesteps", "32", "--resume", folder),
    ):
        forget()
        assert run(command.main, *arguments) == cli.DONE
        assert capsys.readouterr().err == imports


def test_gymnasiums_environments_say_nothing(tmp_path, capsys):
    PPO(PPOConfig(env_id="CartPole-v1", shared_sizes=(4,))).save(tmp_path / "alone.h5")
    assert run(evaluate_command.main, tmp_path / "alone.h5", "--episodes", "1") == cli.DONE
    assert capsys.readouterr().err == ""


def test_replay_keeps_the_settings_and_imports_nothing(tmp_path, capsys):
    settings = {"env_kwargs": {"start": 1}, "wrappers": ("foreign_w:Same",), "max_episode_steps": 5}
    ppo = PPO(PPOConfig(env_id="ppo_np_test/Counting-v0", shared_sizes=(4,), **settings))
    crash = crash_file.crash_of(
        ppo.state, ppo.config, "Said.", crash_file.ENVIRONMENT, {"rewards": np.array([1.0, np.inf])}
    )
    crash_file.write_crash(tmp_path / "crash.h5", crash)
    forget()
    capsys.readouterr()
    read = crash_file.read_crash(tmp_path / "crash.h5").config
    assert {name: getattr(read, name) for name in settings} == settings
    assert run(replay_command.main, tmp_path / "crash.h5") == cli.FAILED
    assert capsys.readouterr().err == ""
    assert "foreign_w" not in sys.modules


def test_load_and_evaluate_make_the_same_environment(tmp_path, capsys):
    settings = {"env_kwargs": {"lengths": (50,)}, "wrappers": ("foreign_w:Same",), "max_episode_steps": 5}
    config = PPOConfig(env_id="ppo_np_test/Counting-v0", shared_sizes=(4,), **settings)
    PPO(config).save(tmp_path / "a.h5")
    with pytest.warns(RuntimeWarning) as warned:
        loaded = PPO.load(tmp_path / "a.h5")
    assert [str(warning.message) for warning in warned] == [notice(tmp_path / "a.h5", "foreign_w")]
    assert {name: getattr(loaded.config, name) for name in settings} == settings
    assert [env.unwrapped.lengths for env in loaded.envs.envs] == [(50,)] * 4
    loaded.close()
    capsys.readouterr()
    (tmp_path / "config.json").touch()  # as in a run folder
    assert run(evaluate_command.main, tmp_path / "a.h5", "--episodes", "1") == cli.DONE
    assert "limit            5 steps an episode (--max-episode-steps), reached by 1\n" in capsys.readouterr().out
    arguments = ["--episodes", "1", "--env-kwargs", "lengths=(3,)", "--max-episode-steps", "40"]
    assert run(evaluate_command.main, tmp_path / "a.h5", *arguments) == cli.DONE
    assert "length           mean 3.0\n" in capsys.readouterr().out
