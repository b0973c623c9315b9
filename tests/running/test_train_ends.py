"""The train command: what it refuses, how it fails, how it is interrupted."""

import os
import signal
import time

import numpy as np
import pytest
import sample_environments
from commands import run
from small_train import SMALL, train_in_a_process

from ppo_np.learning.ppo import PPO
from ppo_np.network.model import ActorCritic
from ppo_np.running import cli
from ppo_np.running.signals import STOPPING
from ppo_np.train import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env-id", "Nope-v9"], "env_id is 'Nope-v9'"),
        (["--env-id", "ppo_np_test/Endless-v0"], "observation space is Sequence"),
        (["--env-id", "ppo_np_test/Endless-v0", "--capture-video"], "observation space is Sequence"),
        (
            ["--num-minibatches", "3"],
            "num_minibatches is 3, but it must be a divisor of num_envs * num_steps = 4 * 16 = 64",
        ),
        (["--num-envs", "0"], "num_envs is 0"),
        (["--total-timesteps", "-1"], "total_timesteps is -1"),
        (["--update-epochs", "0"], "update_epochs is 0"),
        (["--gamma", "1.01"], "gamma is 1.01, but it must be in [0, 1]"),
        (["--gae-lambda", "-0.1"], "gae_lambda is -0.1"),
        (["--learning-rate", "0"], "learning_rate is 0.0"),
        (["--preset", "nope"], "preset is 'nope', but it must be one of acrobot, article"),
        (["--video-every", "0"], "video_every is 0"),
        (
            ["--checkpoint-every", "0"],
            "checkpoint_every is '0', but it must be a number of updates >= 1, like 100, or of",
        ),
        (["--checkpoint-every", "0s"], "checkpoint_every is '0s'"),
        (["--checkpoint-every", "5m"], "checkpoint_every is '5m'"),
        (["--log-every", "-1"], "log_every is -1"),
        (["--eval-every", "-1"], "eval_every is -1"),
        (["--eval-episodes", "0"], "eval_episodes is 0"),
        (["--eval-max-episode-steps", "0"], "eval_max_episode_steps is 0, but it must be an integer >= 1"),
        (
            ["--eval-every", "1", "--env-id", "ppo_np_test/TwoKinds-v0", "--vectorization", "vector"],
            "eval_every is 1, but evaluations play single environments: the observation_space of a single",
        ),
        (["--target-kl", "0"], "target_kl is 0.0, but it must be a number > 0"),
        (["--vectorization", "vector", "--env-id", "Pendulum-v1"], "env_id is 'Pendulum-v1', but no such environment"),
        (["--vectorization", "vector", "--capture-video"], "a video needs 'sync' or 'async'"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(tmp_path, capsys, arguments, message):
    folder = tmp_path / "run"
    assert run(main, *SMALL, "--run-dir", folder, *arguments) == cli.BAD_ARGUMENTS
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert not folder.exists()


@pytest.mark.parametrize(
    "arguments", [["--gama", "0.9"], ["--gamma", "much"], ["--activation", "gelu"], ["--num-envs", "4.5"]]
)
def test_a_malformed_flag_exits_with_2(tmp_path, capsys, arguments):
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", *arguments) == cli.BAD_ARGUMENTS
    assert arguments[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep me")
    assert run(main, *SMALL, "--run-dir", tmp_path) == cli.BAD_ARGUMENTS
    assert "must be a new or an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("flags", [[], ["--capture-video"]], ids=["plain", "filmed"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, capsys, flags):
    (tmp_path / "file").write_text("")
    assert run(main, *SMALL, "--run-dir", tmp_path / "file" / "run", *flags) == cli.BAD_ARGUMENTS
    assert "cannot be made" in capsys.readouterr().err


def test_a_policy_that_no_single_environment_takes_is_one_warning(tmp_path, capsys):
    arguments = ["--env-id", "ppo_np_test/TwoKinds-v0", "--vectorization", "vector", "--total-timesteps", "64"]
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", *arguments) == cli.DONE
    err = capsys.readouterr().err
    assert err.startswith("warning: ppo_np.evaluate cannot play ppo_np_test/TwoKinds-v0 by itself: the observation_sp")
    assert err.count("\n") == 1


def test_an_id_that_only_envpool_has_is_refused_or_one_warning(tmp_path, capsys):
    pytest.importorskip("envpool")
    arguments = ["--env-id", "Catch-v0", "--vectorization", "envpool", "--total-timesteps", "64"]
    assert run(main, *SMALL, "--run-dir", tmp_path / "a", *arguments, "--eval-every", "1") == cli.BAD_ARGUMENTS
    assert "but evaluations play single environments: env_id is 'Catch-v0', but no such" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert run(main, *SMALL, "--run-dir", tmp_path / "b", *arguments) == cli.DONE
    assert capsys.readouterr().err.startswith("warning: ppo_np.evaluate cannot play Catch-v0 by itself: ")


def test_a_renderer_that_fails_ends_only_the_films(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sample_environments.Screen, "render", lambda env: 1 / 0)
    monkeypatch.setattr(sample_environments.Screen, "metadata", {"render_modes": ["rgb_array"], "render_fps": "x"})
    arguments = [
        "--env-id",
        "ppo_np_test/Screen-v0",
        "--num-envs",
        "1",
        "--total-timesteps",
        "64",
        "--video-every",
        "1",
    ]
    with pytest.warns(RuntimeWarning, match="^a video cannot be written to .*: render raised ZeroDivision") as warned:
        assert run(main, *SMALL, "--run-dir", tmp_path / "run", *arguments, "--capture-video") == cli.DONE
    assert len(warned) == 1
    assert list((tmp_path / "run" / "videos").iterdir()) == []


def test_a_missing_video_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", "--capture-video") == cli.BAD_ARGUMENTS
    assert "--capture-video needs imageio_ffmpeg, which is not installed: pip install" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_bug_keeps_its_traceback_and_what_was_learnt(monkeypatch, tmp_path):
    original = PPO.learn
    monkeypatch.setattr(PPO, "learn", lambda ppo, callback: original(ppo, callback) and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: main([*SMALL, "--run-dir", str(tmp_path / "run"), "--total-timesteps", "128"]))
    assert PPO.load(tmp_path / "run" / "checkpoint.h5").global_step == 128


def test_a_gradient_that_is_not_finite_is_one_sentence_and_changes_nothing(monkeypatch, tmp_path, capsys):
    original = ActorCritic.loss_and_gradient

    def spoilt(model, *arguments):
        terms = original(model, *arguments)
        model.grads[0] = np.nan
        return terms

    monkeypatch.setattr(ActorCritic, "loss_and_gradient", spoilt)
    assert run(main, *SMALL, "--run-dir", tmp_path / "run") == cli.FAILED
    assert capsys.readouterr().err == (
        "error: In update 1, epoch 1, minibatch 1, gradient of layer shared/0/weight at [0, 0] is nan where everything "
        "before it was finite; the parameters were not changed by it. See where it comes from: "
        f"python -m ppo_np.replay {tmp_path / 'run' / 'crash.h5'}\n"
    )
    assert np.isfinite(PPO.load(tmp_path / "run" / "checkpoint.h5").policy.model.params).all()


def test_a_lack_of_memory_is_one_sentence(tmp_path, capsys):
    assert run(main, *SMALL, "--run-dir", tmp_path / "run", "--shared-sizes", 10**7, 10**7) == cli.BAD_ARGUMENTS
    assert "do not fit into memory" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_signal_before_training_leaves_nothing(tmp_path, monkeypatch, capsys):
    original = PPO.__init__

    def interrupted(ppo, *arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)
        original(ppo, *arguments, **options)

    monkeypatch.setattr(PPO, "__init__", interrupted)
    assert run(main, *SMALL, "--run-dir", tmp_path / "run") == 130
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_summarises(tmp_path, number, code):
    process = train_in_a_process(tmp_path / "run", "--total-timesteps", "100000000", start_new_session=True)
    metrics, deadline = tmp_path / "run" / "metrics.csv", time.monotonic() + 60
    while not (metrics.exists() and metrics.read_text().count("\n") > 3):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err == STOPPING.decode()
    assert "Training interrupted" in out
    assert PPO.load(tmp_path / "run" / "checkpoint.h5").update >= 3
    assert metrics.read_text().endswith("\n")


def test_a_signal_before_the_first_update_saves_too(tmp_path, monkeypatch):
    original = PPO.learn

    def learn(ppo, callback):
        os.kill(os.getpid(), signal.SIGINT)
        ppo.stream.step = lambda _: pytest.fail("no step after the signal")
        return original(ppo, callback)

    monkeypatch.setattr(PPO, "learn", learn)
    before = signal.getsignal(signal.SIGINT)
    assert run(main, *SMALL, "--run-dir", tmp_path / "run") == 130
    assert PPO.load(tmp_path / "run" / "checkpoint.h5").global_step == 0
    assert signal.getsignal(signal.SIGINT) == before
