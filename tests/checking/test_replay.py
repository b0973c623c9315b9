"""The replay command: a table of the stages, the first number that is not finite, and what it refuses."""

import json

import gymnasium
import numpy as np
import pytest
from commands import run
from conftest import needs_jit
from faulty import Faulty

from ppo_np import PPO, PPOConfig
from ppo_np.learning.divergence import DivergenceCheck
from ppo_np.learning.rollout import RolloutBuffer
from ppo_np.logs.filenames import CHECKPOINT, CRASH
from ppo_np.network import model
from ppo_np.replay import main
from ppo_np.running import cli
from ppo_np.saving import crash_file
from ppo_np.saving.checkpoint import below, read_checkpoint
from ppo_np.saving.hdf5 import pack, unpack
from ppo_np.train import main as train

SMALL = PPOConfig(env_id="CartPole-v1", total_timesteps=64, num_envs=2, num_steps=16, shared_sizes=(8,))
FLAGS = [
    "--preset", "article", "--env-id", "CartPole-v1", "--num-steps", "8", "--num-minibatches", "2", "--shared-sizes",
    "8", "--no-anneal-lr", "--total-timesteps", "1000",
]  # fmt: skip
FINITE = "Everything is finite here: these numbers do not reproduce what ended the run.\n"


@pytest.fixture(scope="module")
def ppo():
    ppo = PPO(SMALL)
    ppo.learn(lambda ppo, _: ppo.stop())
    return ppo


@pytest.fixture(autouse=True)
def a_wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def minibatch_crash(ppo, **wrong):
    minibatch = ppo.policy.model.minibatch(8)
    ppo._buffer.gather(np.arange(8), ppo.policy, minibatch)
    arrays = {name: getattr(minibatch, name) for name in crash_file.MINIBATCH_ARRAYS}
    crash = crash_file.crash_of(ppo.state, ppo.config, "It went wrong.", crash_file.MINIBATCH, arrays)
    for name, value in wrong.items():
        crash.arrays[name].reshape(-1)[5] = value
    return crash


def lines_of(out):
    """The table's rows by the names of their stages."""
    cells = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in out.splitlines() if "│" in line]
    return {row[0]: row[1:] for row in cells}


def test_a_finite_minibatch_is_a_table_and_exit_code_0(ppo, tmp_path, capsys):
    crash_file.write_crash(tmp_path / "x.h5", minibatch_crash(ppo))
    assert run(main, tmp_path / "x.h5") == cli.DONE
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith("It went wrong.\n")
    assert captured.out.endswith(FINITE)
    assert "minibatch, computed again" in captured.out
    rows = lines_of(captured.out)
    assert rows["observation"][0] == "(8, 4)"
    assert rows["logits"][0] == "(8, 2)"
    assert rows["gradient of layer shared/0/weight"][0] == "(4, 8)"
    assert float(rows["advantages"][1]) < float(rows["advantages"][2])
    assert not any(row[3] for row in rows.values())
    assert next(iter(rows)) == "actions"
    assert list(rows)[-1] == "gradient of layer shared/0/weight"


def test_the_first_number_that_is_not_finite_is_named(ppo, tmp_path, capsys):
    crash_file.write_crash(tmp_path / CRASH, minibatch_crash(ppo, obs=np.nan))
    assert run(main, tmp_path) == cli.FAILED  # the folder does as well
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.endswith("The first number that is not finite: observation at [1, 1] is nan.\n")
    rows = lines_of(captured.out)
    assert [rows[name][3] for name in ("returns", "observation", "parameter shared/0/weight")] == ["", "1", ""]
    assert int(rows["output of layer shared/0"][3]) > 0
    assert rows["loss"][1:] == ["", "", "1"]


def test_a_rollout_and_an_environment(ppo, tmp_path, capsys):
    obs = ppo._workspace.inputs.copy()
    arrays = {"obs": obs, "actions": np.zeros(len(obs), int)}
    crash_file.write_crash(
        tmp_path / "x.h5", crash_file.crash_of(ppo.state, ppo.config, "Said.", crash_file.ROLLOUT, arrays)
    )
    assert run(main, tmp_path / "x.h5") == cli.DONE
    rows = lines_of(capsys.readouterr().out)
    assert {"Adam's v of shared/0/weight", "observation", "logits", "values"} <= rows.keys()
    arrays = {"rewards": np.array([1.0, -np.inf])}
    crash_file.write_crash(
        tmp_path / "x.h5", crash_file.crash_of(ppo.state, ppo.config, "Said.", crash_file.ENVIRONMENT, arrays)
    )
    assert run(main, tmp_path / "x.h5") == cli.FAILED
    out = capsys.readouterr().out
    assert list(lines_of(out)) == ["reward"]
    assert out.endswith("The first number that is not finite: reward at [1] is -inf.\n")


def refused(capsys, *arguments):
    assert run(main, *arguments) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_what_is_no_crash_file_is_refused(ppo, tmp_path, capsys):
    assert "x.h5', but there is no such file" in refused(capsys, tmp_path / "x.h5")
    assert "crash.h5', but there is no such file" in refused(capsys, tmp_path)
    (tmp_path / "x.h5").write_bytes(b"something else")
    assert "cannot be read as a crash file: it is not a file of ppo_np" in refused(capsys, tmp_path / "x.h5")
    ppo.save(tmp_path / "x.h5")
    assert "x.h5', but that is not a ppo_np crash" in refused(capsys, tmp_path / "x.h5")
    crash_file.write_crash(tmp_path / "x.h5", minibatch_crash(ppo))
    (tmp_path / "x.h5").write_bytes((tmp_path / "x.h5").read_bytes()[:-1])
    assert "it is damaged" in refused(capsys, tmp_path / "x.h5")


def without(name):
    return lambda arrays, _: arrays.pop(name)


def with_array(name, array):
    return lambda arrays, _: arrays.__setitem__(name, array)


def with_head(**head):
    return lambda _, attributes: attributes.__setitem__("head", json.dumps(head))


def with_setting(**settings):
    def edit(_, attributes):
        attributes["config"] = json.dumps(json.loads(attributes["config"]) | settings)

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        without("parameters/shared/0/weight"),
        without("parameters/policy/head/bias"),
        with_array("parameters/value/head/bias", np.zeros(2, np.float32)),
        with_setting(shared_sizes=[9]),
        with_setting(activation="gelu"),
        with_head(kind="Nope", sizes=[2]),
        with_head(kind="Categorical"),
        with_head(kind="Categorical", sizes=[3]),
        without("rows/advantages"),
        without("rows/obs"),
        with_array("rows/returns", np.zeros(3)),
        with_array("rows/obs", np.zeros((8, 5), np.float32)),
        with_array("parameters/shared/0/weight", np.array(1.0)),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(ppo, tmp_path, capsys, edit):
    path = tmp_path / "x.h5"
    crash_file.write_crash(path, minibatch_crash(ppo))
    arrays, attributes = unpack(path.read_bytes())
    edit(arrays, attributes)
    path.write_bytes(pack(arrays, attributes))
    refused(capsys, path)


@pytest.mark.parametrize("action", [2, -1])
def test_actions_that_the_head_does_not_have_are_refused(ppo, tmp_path, capsys, action):
    crash = minibatch_crash(ppo)
    crash.arrays["actions"][3] = action
    crash_file.write_crash(tmp_path / "x.h5", crash)
    refused(capsys, tmp_path / "x.h5")


def test_help(capsys):
    assert run(main, "--help") == 0
    out = capsys.readouterr().out
    assert "CRASH_FILE" in out
    assert "Exit code 1 if there is one, 0 if everything is finite here" in " ".join(out.replace("│", " ").split())


def test_an_unknown_flag_and_no_argument_are_refused(capsys):
    assert run(main) == cli.BAD_ARGUMENTS
    assert run(main, "x.h5", "--nope") == cli.BAD_ARGUMENTS


def ends_in_one_line(capsys, folder, *flags):
    """Train until it fails; give the line that says why."""
    assert run(train, *FLAGS, "--run-dir", folder, *flags) == cli.FAILED
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.endswith(f" See where it comes from: python -m ppo_np.replay {folder / CRASH}\n")
    saved = read_checkpoint(folder / CHECKPOINT)
    for group in ("parameters", "adam/m", "adam/v"):
        tensors = below(saved.tensors, group)
        assert tensors
        assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    return err


@needs_jit
def test_a_run_that_meets_a_number_of_its_data_and_its_replay(tmp_path, capsys, monkeypatch):
    def spoilt(buffer, gamma, gae_lambda):
        advantages(buffer, gamma, gae_lambda)
        buffer.returns[3, 1] = np.inf

    advantages = RolloutBuffer.compute_advantages
    monkeypatch.setattr(RolloutBuffer, "compute_advantages", spoilt)
    err = ends_in_one_line(capsys, tmp_path / "run")
    assert ", returns at [" in err
    assert run(main, tmp_path / "run") == cli.FAILED
    out = capsys.readouterr().out
    named = out.splitlines()[-1].removeprefix("The first number that is not finite: ").rstrip(".")
    assert f", {named} where everything before it was finite" in err


@needs_jit
def test_a_run_that_meets_a_number_of_its_computation_and_its_replay(tmp_path, capsys, monkeypatch):
    def spoilt(*arguments):
        backward(*arguments)
        arguments[-2][2] = np.nan

    backward = model.ppo_loss_backward
    with monkeypatch.context() as patch:
        patch.setattr(model, "ppo_loss_backward", spoilt)
        err = ends_in_one_line(capsys, tmp_path / "run")
    assert ", gradient with respect to entropies at [2] is nan where" in err
    assert run(main, tmp_path / "run" / CRASH) == cli.DONE
    assert capsys.readouterr().out.endswith(FINITE)


@needs_jit
def test_a_run_whose_parameters_go_bad_and_its_replay(tmp_path, capsys, monkeypatch):
    def stopped_at(check, *more):
        if check._state.update == 2:
            check._state.model.params[3] = -np.inf
        return original(check, *more)

    original = DivergenceCheck.check_state
    monkeypatch.setattr(DivergenceCheck, "check_state", stopped_at)
    err = ends_in_one_line(capsys, tmp_path / "run")
    assert "In update 3, after the epochs, parameter shared/0/weight at [0, 3] is -inf" in err
    assert run(main, tmp_path / "run") == cli.FAILED
    assert capsys.readouterr().out.endswith("parameter shared/0/weight at [0, 3] is -inf.\n")


def test_a_run_whose_environment_gives_nan_and_its_replay(tmp_path, capsys):
    gymnasium.register("ppo_np_test/NaN-v0", lambda **_: Faulty(index=2, reward=np.nan), disable_env_checker=True)
    try:
        err = ends_in_one_line(capsys, tmp_path / "run", "--env-id", "ppo_np_test/NaN-v0", "--seed", "0")
    finally:
        del gymnasium.registry["ppo_np_test/NaN-v0"]
    assert "environment 2 gave the reward nan" in err
    assert run(main, tmp_path / "run") == cli.FAILED
    assert capsys.readouterr().out.endswith("The first number that is not finite: reward at [2] is nan.\n")
