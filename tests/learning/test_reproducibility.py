"""What docs/reproducibility.md says and no other file tests."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run
from conftest import needs_jit

from ppo_np import PPO, PPOConfig
from ppo_np.running import summary
from ppo_np.saving.checkpoint import library_versions, read_checkpoint
from ppo_np.train import main

CONFIG = PPOConfig(
    env_id="LunarLander-v3", total_timesteps=512, num_envs=3, num_steps=32, shared_sizes=(8,), norm_obs=True,
    norm_reward=True,
)  # fmt: skip
FLAGS = ["--preset", "article", "--env-id", "CartPole-v1", "--num-steps", "16", "--shared-sizes", "8"]


def state(checkpoint):
    """Everything in a checkpoint but time and settings."""
    names = ("tensors", "counters", "rng", "normalizer", "recent_episodes")
    return {name: getattr(checkpoint, name) for name in names} | {"environments": checkpoint.environments.arrays()}


def test_workers_give_the_same_run():
    runs = [PPO(dataclasses.replace(CONFIG, vectorization=way)).learn() for way in ("sync", "async")]
    np.testing.assert_equal(*(state(ppo.resume_point.checkpoint(ppo.config, ppo.ranks)) for ppo in runs))
    for ppo in runs:
        ppo.close()


def test_the_interval_of_checkpoints_changes_nothing(tmp_path):
    for every in ("1", "3", "1000s", "0.01s"):
        flags = ["--run-dir", tmp_path / every, "--checkpoint-every", every, "--total-timesteps", 512]
        assert run(main, *FLAGS, *flags) == 0
    states = [state(read_checkpoint(tmp_path / every / "checkpoint.h5")) for every in ("1", "3", "1000s", "0.01s")]
    for other in states[1:]:
        np.testing.assert_equal(other, states[0])


def test_a_resumed_run_tells_which_versions_differ(tmp_path, monkeypatch, capsys):
    assert run(main, *FLAGS, "--run-dir", tmp_path / "run", "--total-timesteps", 128) == 0
    monkeypatch.setattr(summary, "library_versions", lambda: library_versions() | {"numpy": "99.0"})
    assert run(main, "--resume", tmp_path / "run", "--total-timesteps", 128) == 0
    expected = r"warning: numpy was [\d.]+ and is 99\.0: results can differ in the last bits\.\n"
    assert re.fullmatch(expected, capsys.readouterr().err)


@needs_jit
@pytest.mark.slow
def test_kernels_from_the_cache_compute_the_same(tmp_path):
    """Also where some kernels were cached by a run of another network, and others had to be compiled to call them."""
    wanted = ["--shared-sizes", "8", "--policy-sizes", "8", "8", "--activation", "tanh", "--norm-obs"]
    runs = [
        ("cold", "a", wanted),
        ("warm", "a", wanted),
        ("other", "b", ["--shared-sizes", "8"]),
        ("mixed", "b", wanted),
    ]
    for name, cache, network in runs:
        command = [sys.executable, "-m", "ppo_np.train", *FLAGS, *network, "--total-timesteps", "2048"]
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / cache)}
        subprocess.run([*command, "--run-dir", str(tmp_path / name)], env=environment, check=True, capture_output=True)
    states = [state(read_checkpoint(tmp_path / name / "checkpoint.h5")) for name in ("cold", "warm", "mixed")]
    for other in states[1:]:
        np.testing.assert_equal(other, states[0])


def test_every_test_that_the_statement_names_is_there():
    """A statement without its test is only a claim."""
    tests = Path(__file__).parents[1]
    text = (tests.parent / "docs" / "reproducibility.md").read_text()
    named = re.findall(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)?(?:::)?(test_\w+)?`", text)
    assert len([name for _, name in named if name]) > 8
    file = None
    for new_file, name in named:
        file = new_file or file
        found = list(tests.rglob(file))
        assert len(found) == 1, f"{file} is {len(found)} files"
        assert not name or f"def {name}(" in found[0].read_text(), f"{file} has no {name}"
