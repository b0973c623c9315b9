"""Going on with a run: the same numbers as without a stop, what may change, what is refused."""

import json
import os
import signal
import sys

import pytest
import sample_environments  # noqa: F401  registers the test environments
from durability.kill.compare import differences, rows
from resuming import BASE, CARTPOLE, EVALUATED, Whole, contents, go_on, stopped, train, warnings_in

from ppo_np.logs.tensorboard import TensorBoardLogger
from ppo_np.running import cli
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.saving.hdf5 import pack, unpack

NORMALIZED = ["--norm-obs", "--norm-reward"]
WRAPPED = [
    *BASE, "--env-id", "CartPole-v1", "--env-kwargs", "sutton_barto_reward=True", "--max-episode-steps", "9",
    "--wrappers", "gymnasium.wrappers:FrameStackObservation(stack_size=3)", "gymnasium.wrappers:FlattenObservation",
]  # fmt: skip
APART = ["--value-clip-coef", "0.1", "--value-learning-rate", "0.01", "--max-grad-norm-value", "0.2"]
APART += ["--clip-coef-schedule", "cosine"]
STACKED = [*BASE, "--env-id", "ppo_np_test/Picture-v0", "--obs-grayscale", "--frame-stack", "3", "--rescale-actions"]
KINDS = {
    "plain": CARTPOLE,
    "workers": [*CARTPOLE, "--vectorization", "async"],
    "real-valued actions": [*BASE, "--env-id", "Pendulum-v1", *NORMALIZED],
    "all at once": [*BASE, "--env-id", "Pendulum-v1", *NORMALIZED, "--vectorization", "async", "--target-kl", "0.002"],
    "LunarLander": [*BASE, "--env-id", "LunarLander-v3"],
    "observations in a Tuple": [*BASE, "--env-id", "Blackjack-v1"],
    "the same in workers": [*BASE, "--env-id", "Blackjack-v1", "--vectorization", "async"],
    "masks": [*BASE, "--env-id", "Taxi-v4", "--action-mask", "info:action_mask"],
    "masks in workers": [*BASE, "--env-id", "Taxi-v4", "--action-mask", "info:action_mask", "--vectorization", "async"],
    "numbered observations": [*BASE, "--env-id", "FrozenLake-v1"],
    "keyword arguments, wrappers and a limit": WRAPPED,
    "an adaptive learning rate, the value apart": [*CARTPOLE, "--kl-adaptive-lr", "0.002", *APART],
    "all three in workers": [*WRAPPED, "--vectorization", "async"],
    "stacked images, rescaled actions": [*STACKED, *NORMALIZED],
    "the same images in workers": [*STACKED, "--vectorization", "async"],
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return Whole(tmp_path_factory)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_in_the_midst_of_a_rollout_changes_nothing(uninterrupted, tmp_path, monkeypatch, capsys, kind):
    flags = [*KINDS[kind], *EVALUATED]
    whole = uninterrupted(flags)
    capsys.readouterr()
    folder = stopped(monkeypatch, tmp_path / "run", *flags, at=4 * 16 + 5)
    assert read_checkpoint(folder / "checkpoint.h5").counters["update"] == 4
    go_on(folder)
    assert differences(whole, folder) == []
    assert warnings_in(capsys.readouterr()) == []
    assert json.loads((folder / "config.json").read_text())["resumed"] == [128]


@pytest.mark.parametrize("at", [1, 16, 17, 64, 128])
def test_a_stop_at_any_step_changes_nothing(uninterrupted, tmp_path, monkeypatch, at):
    whole = uninterrupted(CARTPOLE + EVALUATED)
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, *EVALUATED, at=at)
    assert differences(whole, go_on(folder)) == []


def test_two_stops_change_nothing(uninterrupted, tmp_path, monkeypatch):
    whole = uninterrupted(CARTPOLE)
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    stopped(monkeypatch, folder, at=3, start=go_on)
    stopped(monkeypatch, folder, at=50, start=go_on)
    assert differences(whole, go_on(folder)) == []
    assert json.loads((folder / "config.json").read_text())["resumed"] == [64, 64, 160]


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_so_many_steps_and_so_many_more_are_all_of_them_in_one_go(tmp_path, vectorization):
    flags = [*CARTPOLE, "--no-anneal-lr", "--vectorization", vectorization]
    whole = train(tmp_path / "whole", *flags)
    folder = train(tmp_path / "run", *flags, "--total-timesteps", 3 * 32)
    go_on(folder, "--total-timesteps", 5 * 32)
    assert differences(whole, folder) == []


def test_a_run_that_is_done_says_so_and_is_left_alone(uninterrupted, capsys):
    folder = uninterrupted(CARTPOLE)
    before = contents(folder)
    capsys.readouterr()
    go_on(folder)
    assert capsys.readouterr().out == "The run has done its 256 steps; --total-timesteps M adds M steps.\n"
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gamma", "0.9"], "gamma is 0.9, but it must be 0.99 as in the run that --resume continues"),
        (["--seed", "1"], "seed is 1, but it must be 42 as in the run"),
        (["--num-envs", "4"], "num_envs is 4, but it must be 2"),
        (["--env-id", "Acrobot-v1"], "env_id is 'Acrobot-v1', but it must be 'CartPole-v1'"),
        (["--shared-sizes", "9"], "shared_sizes is (9,), but it must be (8,)"),
        (["--learning-rate", "1"], "learning_rate is 1.0, but it must be 0.003"),
        (["--norm-obs"], "norm_obs is True, but it must be False"),
        (["--vectorization", "async"], "vectorization is 'async', but it must be 'sync'"),
        (
            ["--preset", "cleanrl"],
            "preset is 'cleanrl', but it must be 'article' as in the run that --resume continues",
        ),
        (["--total-timesteps", "0"], "total_timesteps is 0"),
        (["--checkpoint-every", "0"], "checkpoint_every is '0'"),
    ],
)
def test_what_decides_what_is_learnt_must_not_change(uninterrupted, capsys, flags, message):
    folder = uninterrupted(CARTPOLE)
    before = contents(folder)
    capsys.readouterr()
    go_on(folder, *flags, code=cli.BAD_ARGUMENTS)
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")
    assert contents(folder) == before


def test_what_may_change(uninterrupted, tmp_path, monkeypatch):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    flags = {"threads": 2, "num_env_threads": 3, "env_timeout": 7.0, "checkpoint_every": "1", "log_every": 3}
    go_on(folder, *(str(part) for name, value in flags.items() for part in (f"--{name}", value)))
    document = json.loads((folder / "config.json").read_text())
    assert {name: (document["config"] | document["options"])[name] for name in flags} == flags
    names = {difference.split(": ")[-1] for difference in differences(uninterrupted(CARTPOLE), folder)}
    assert names == {"config"}
    assert read_checkpoint(folder / "checkpoint.prev.h5").counters["update"] == 8


def stopped_in_an_evaluation(monkeypatch, folder, number):
    from ppo_np.evaluation import periodic

    play, calls = periodic.play_episode, []

    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return play(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(periodic, "play_episode", counted)
        return train(folder, *CARTPOLE, *EVALUATED, code=143)


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_an_evaluation_that_was_stopped_is_done_again(uninterrupted, tmp_path, monkeypatch, number):
    """Two episodes each after updates 3, 6 and 8, the last one."""
    folder = stopped_in_an_evaluation(monkeypatch, tmp_path / "run", number)
    assert len(rows(folder / "evaluations.csv")) == (number - 1) // 2
    assert differences(uninterrupted(CARTPOLE + EVALUATED), go_on(folder)) == []


def test_a_kill_while_an_evaluation_is_done_again_loses_nothing_of_it(uninterrupted, tmp_path, monkeypatch):
    """Between its row in evaluations.csv and its TensorBoard events; an exit there saves nothing, like a kill."""
    folder = stopped_in_an_evaluation(monkeypatch, tmp_path / "run", 4)
    with monkeypatch.context() as patched:
        patched.setattr(TensorBoardLogger, "log_scalars", lambda *_: sys.exit(137))
        go_on(folder, code=137)
    assert differences(uninterrupted(CARTPOLE + EVALUATED), go_on(folder)) == []


def test_other_versions_are_told_of(tmp_path, monkeypatch, capsys):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    path = folder / "checkpoint.h5"
    arrays, attributes = unpack(path.read_bytes())
    attributes["versions"] = json.dumps(json.loads(attributes["versions"]) | {"numba": "0.1"})
    path.write_bytes(pack(arrays, attributes))
    capsys.readouterr()
    go_on(folder)
    (warning,) = warnings_in(capsys.readouterr())
    assert warning.startswith("numba was 0.1 and is ")
