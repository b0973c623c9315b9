"""Another process compiles the update kernel during the first rollout, if it is not in the cache."""

import os
import random
import signal
import subprocess
import sys
import time
from _io import open as open_file

import numpy as np
import pytest

from kernels import _jit
from ppo_np import PPO, PPOConfig
from ppo_np.learning import compile_ahead, compiled_update
from ppo_np.learning.compile_ahead import CompilingProcess
from ppo_np.learning.compiled_update import compile_update
from ppo_np.learning.update_kernel import KINDS, update_kernel

needs_jit = pytest.mark.skipif(not _jit.COMPILED, reason="without the JIT nothing is compiled")
SETTINGS = {
    "num_envs": 2, "num_steps": 8, "num_minibatches": 1, "update_epochs": 1, "total_timesteps": 16,
    "shared_sizes": (), "policy_sizes": (4,), "value_sizes": (4,), "vectorization": "compiled", "threads": 2,
}  # fmt: skip


def test_it_calls_the_function(tmp_path):
    process = CompilingProcess(os.mkdir, str(tmp_path / "it's made"))
    process.wait()
    assert (tmp_path / "it's made").is_dir()
    process.wait()
    process.stop()


def test_it_imports_what_this_process_would_import(tmp_path, monkeypatch):
    """A file of the working folder with the name of a module of Python is none of this process's modules."""
    (tmp_path / "random.py").write_text("raise ImportError")
    monkeypatch.chdir(tmp_path)
    process = CompilingProcess(random.seed, "")._process
    assert process.wait() == 0


ENDS = """
import sys
from ppo_np.learning.compile_ahead import CompilingProcess
from _io import open
print(CompilingProcess(open, sys.argv[1])._process.pid)
"""


def test_it_ends_when_this_process_does(tmp_path):
    os.mkfifo(tmp_path / "never written")
    command = [sys.executable, "-c", ENDS, str(tmp_path / "never written")]
    pid = int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_it_can_be_stopped(tmp_path):
    os.mkfifo(tmp_path / "never written")
    begin = time.monotonic()
    CompilingProcess(open_file, str(tmp_path / "never written")).stop()  # waits for someone who writes
    assert time.monotonic() - begin < 5


def test_a_process_that_does_not_end_is_given_up(monkeypatch, tmp_path):
    os.mkfifo(tmp_path / "never written")
    monkeypatch.setattr(compile_ahead, "LONGEST", 0.1)
    begin = time.monotonic()
    compiling = CompilingProcess(open_file, str(tmp_path / "never written"))
    process = compiling._process
    compiling.wait()
    assert process.returncode == -signal.SIGKILL
    assert 0.1 <= time.monotonic() - begin < 5


@pytest.mark.parametrize("program", [None, "", "/no/such/program"])
def test_without_a_process_the_run_goes_on(monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)
    process = CompilingProcess(os.mkdir, "never made")
    process.wait()
    process.stop()


@needs_jit
@pytest.mark.parametrize(("kind", "env_id"), [("Categorical", "CartPole-v1"), ("Gaussian", "Pendulum-v1")])
def test_it_compiles_for_the_types_of_every_run(kind, env_id):
    update_kernel.cache_clear()
    compile_update(kind)
    for more in ({}, {"max_grad_norm_value": 0.5}, {"num_steps": 512, "total_timesteps": 1024}):
        PPO(PPOConfig(env_id=env_id, **SETTINGS | more)).learn().close()
    assert len(update_kernel(kind).signatures) == 1
    assert {"Categorical", "Gaussian"} == set(KINDS)


class Process:
    """Notes when it is waited for."""

    def __init__(self, function, argument):
        self.told = [function, argument]

    def wait(self):
        self.told.append("waited")


@needs_jit
def test_a_run_waits_for_it_before_the_first_update(monkeypatch):
    monkeypatch.setattr(compiled_update, "is_missing", lambda kernel: True)
    monkeypatch.setattr(compiled_update, "CompilingProcess", Process)
    compiled_update._compiling.cache_clear()
    config = PPOConfig(env_id="CartPole-v1", **SETTINGS)
    ppo = PPO(config)
    told, kernel = ppo._compiled._compiling.told, ppo._compiled._kernel
    assert told == [compile_update, "Categorical"]
    monkeypatch.setattr(ppo._compiled, "_kernel", lambda *arguments: told.append("kernel") or kernel(*arguments))
    ppo.learn()
    assert told[2:4] == ["waited", "kernel"]
    assert PPO(config)._compiled._compiling.told is told  # one process in all
    compiled_update._compiling.cache_clear()


@needs_jit
@pytest.mark.parametrize(("threads", "missing"), [(1, True), (2, False)])
def test_when_there_is_none(monkeypatch, threads, missing):
    monkeypatch.setattr(compiled_update, "is_missing", lambda kernel: missing)
    monkeypatch.setattr(compiled_update, "CompilingProcess", None)
    assert PPO(PPOConfig(env_id="CartPole-v1", **SETTINGS | {"threads": threads}))._compiled._compiling is None


START = """
from ppo_np import PPO, PPOConfig
from ppo_np.learning.update_kernel import update_kernel
ppo = PPO(PPOConfig(env_id="CartPole-v1", **{settings}))
assert ppo._compiled._compiling
print(float(abs(ppo.learn().policy.model.params).sum()))
stats = update_kernel("Categorical").stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@needs_jit
@pytest.mark.slow  # everything is compiled
def test_a_first_run_finds_the_kernel_of_the_other_process(tmp_path):
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    env.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", START.replace("{settings}", repr(SETTINGS))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=300)
    total, hits = done.stdout.splitlines()
    assert hits == "1 0"
    here = PPO(PPOConfig(env_id="CartPole-v1", **SETTINGS)).learn()
    np.testing.assert_equal(float(abs(here.policy.model.params).sum()), float(total))
