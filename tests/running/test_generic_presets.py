"""The presets for environments that have none of their own: which one is chosen, when an environment is made for it."""

import dataclasses

import gymnasium
import pytest
from checking.gradcheck_cases import BOX, MULTI_BINARY
from commands import run

from ppo_np.config import PPOConfig
from ppo_np.environments import make
from ppo_np.errors import UserError
from ppo_np.running import cli, launch
from ppo_np.running.options import parse
from ppo_np.train import main

COUNTING = "ppo_np_test/Counting-v0"
ONLY_VECTOR = "ppo_np_test/OnlyVector-v0"
if ONLY_VECTOR not in gymnasium.registry:
    gymnasium.register(ONLY_VECTOR, vector_entry_point="gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv")


@pytest.mark.parametrize(
    ("arguments", "preset", "norm_obs"),
    [
        (["FrozenLake-v1"], "generic-discrete", False),
        ([COUNTING], "generic-discrete", True),
        (["Blackjack-v1"], "generic-discrete", False),
        ([MULTI_BINARY], "generic-discrete", True),
        ([BOX], "generic-continuous", True),
        ([BOX, "--no-norm-obs"], "generic-continuous", False),
        ([BOX, "--wrappers", "gymnasium.wrappers:DiscretizeAction(bins=3)"], "generic-discrete", True),
        (["FrozenLake-v1", "--norm-obs"], "generic-discrete", True),
        (["FrozenLake-v1", "--wrappers", "gymnasium.wrappers:TimeAwareObservation"], "generic-discrete", True),
        ([ONLY_VECTOR, "--vectorization", "vector"], "generic-discrete", True),
    ],
)  # fmt: skip
def test_an_environment_without_a_preset_has_the_generic_one_for_its_spaces(arguments, preset, norm_obs):
    options = parse(["--env-id", *arguments, "--num-steps", "64"])
    changes = {name: getattr(options.config, name) for name in ("env_id", "wrappers", "vectorization")}
    expected = dataclasses.replace(PPOConfig.preset(preset), norm_obs=norm_obs, num_steps=64, **changes)
    assert (options.preset, options.config) == (preset, expected)


@pytest.mark.parametrize(
    ("arguments", "times"),
    [
        (["--env-id", COUNTING], 1),
        (["--env-id", COUNTING, "--preset", "generic-discrete"], 0),
        (["--env-id", COUNTING, "--preset", "article"], 0),
        (["--env-id", COUNTING, "--list-presets"], 0),
        (["--env-id", "CartPole-v1"], 0),
        ([], 0),
    ],
)
def test_an_environment_is_made_once_and_only_if_no_preset_is_known(arguments, times, monkeypatch):
    made, make_env = [], make.make_env
    monkeypatch.setattr(make, "make_env", lambda *args: made.append(args) or make_env(*args))
    parse(arguments)
    assert len(made) == times


def test_a_wrong_flag_and_a_wrong_environment_are_refused_as_ever(capsys):
    assert run(main, "--env-id", COUNTING, "--gama", 1) == cli.BAD_ARGUMENTS
    assert run(main, "--env-id", "Nope-v0", "--gamma", 2) == cli.BAD_ARGUMENTS
    assert capsys.readouterr().err.endswith("error: gamma is 2.0, but it must be in [0, 1].\n")
    with pytest.raises(UserError, match="^env_id is 'Nope-v0', but no such environment can be made: "):
        parse(["--env-id", "Nope-v0"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--env-id", "FrozenLake-v1"], ["--preset", "generic-discrete", "--no-norm-obs"]),
        (["--env-id", "FrozenLake-v1", "--norm-obs"], ["--preset", "generic-discrete", "--norm-obs"]),
        (["--env-id", "FrozenLake-v1", "--preset", "generic-discrete"], []),
        (["--env-id", "CartPole-v1"], []),
    ],
)
def test_processes_that_are_started_are_told_what_was_chosen(given, told, monkeypatch):
    started = []
    monkeypatch.setattr(launch, "launch", lambda number, module, arguments, signals: started.append(arguments) or 0)
    arguments = [*given, "--ranks", "2"]
    assert run(main, *arguments) == cli.DONE
    assert started == [told + arguments]
    assert parse(started[0]) == parse(arguments)


def test_a_run_names_its_generic_preset_in_one_line(tmp_path, capsys):
    flags = ["--env-id", COUNTING, "--num-steps", 16, "--num-minibatches", 2, "--run-dir", tmp_path / "run"]
    assert run(main, *flags, "--total-timesteps", 128) == cli.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("settings: --preset generic-discrete; those of the article: --preset article") == 1
    assert run(main, "--resume", tmp_path / "run", "--total-timesteps", 128) == cli.DONE
    assert "--preset" not in capsys.readouterr().out


def test_a_file_names_the_run_folder_without_its_path(tmp_path, monkeypatch):
    (tmp_path / "my.toml").write_text(f'env_id = "{COUNTING}"\nnum_steps = 16\nshared_sizes = [4]\n')
    monkeypatch.chdir(tmp_path)
    assert run(main, "--preset", "./my.toml", "--total-timesteps", 64) == cli.DONE
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("ppo_np_test_Counting-v0__my__42__")
    (tmp_path / "my.toml").unlink()
    assert run(main, "--resume", folder, "--total-timesteps", 64) == cli.DONE
