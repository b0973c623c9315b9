"""Environments in worker processes: faults are told, waits are limited, and no process is left behind."""

import multiprocessing
import os
import re
import signal
import subprocess
import time
from contextlib import closing

import faulty
import numpy as np
import pytest
from faulty import Faulty
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np.config import PPOConfig
from ppo_np.environments import workers
from ppo_np.environments.guard import Guard
from ppo_np.environments.make import make_vector_env
from ppo_np.environments.observed import Observed
from ppo_np.environments.stream import EnvStream
from ppo_np.environments.workers import WorkerEnvs
from ppo_np.errors import EnvironmentFault

pytestmark = pytest.mark.faults

PATIENCE = 60.0


@pytest.fixture
def made():
    """Makes WorkerEnvs, closes them in the end, and checks that no process is left."""
    envs = []

    def make(timeout=PATIENCE, num_envs=3, mode=AutoresetMode.SAME_STEP, **fault):
        factories = [lambda i=i: Guard(Faulty(**fault), i) for i in range(num_envs)]
        envs.append(WorkerEnvs(factories, timeout, mode))
        return envs[-1]

    yield make
    for one in envs:
        one.close()
    assert multiprocessing.active_children() == []


def steps_until_fault(envs, limit=50):
    """Number of the step that failed, 0 for the first reset, and the message."""
    step = 0
    with pytest.raises(EnvironmentFault) as caught:
        envs.reset(seed=0)
        for step in range(1, limit):  # noqa: B007  the last one counts
            envs.step(np.zeros(envs.num_envs, int))
    return step, str(caught.value)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_healthy_environments_play_as_in_one_process(made, mode):
    ours = made(mode=mode, at=-1)
    theirs = SyncVectorEnv([lambda: Faulty(at=-1)] * 3, autoreset_mode=mode)
    assert np.array_equal(ours.reset(seed=5)[0], theirs.reset(seed=5)[0])
    for _ in range(12):
        (*ours_answer, ours_info), (*theirs_answer, theirs_info) = ours.step(np.zeros(3, int)), theirs.step([0, 0, 0])
        for one, other in zip(ours_answer, theirs_answer, strict=True):
            assert np.array_equal(one, other)
        assert ours_info.keys() == theirs_info.keys()
    assert ours.get_attr("index") == (0, 1, 2)


def test_an_exception_is_told_and_others_are_not_printed(made, capfd):
    step, message = steps_until_fault(made(at=3, call=faulty.raise_exception))
    assert step == 3
    assert message.startswith("environment 2 raised RuntimeError: the simulator is gone (faulty.py, line ")
    assert capfd.readouterr().err == ""


def test_what_cannot_be_sent_is_told(made):
    class Reward(float):
        """A class inside a function cannot be pickled."""

    step, message = steps_until_fault(made(at=3, reward=Reward(1)))
    assert step == 3
    assert re.match("environment 2 raised .*Reward", message), message


@pytest.mark.parametrize(
    ("call", "end"),
    [
        (lambda: os._exit(3), "ended with exit code 3"),
        (lambda: os._exit(0), "ended with exit code 0"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by signal 9"),
    ],
)
@pytest.mark.parametrize("timeout", [PATIENCE, 1e10, np.inf])
def test_a_worker_that_dies_is_told(made, call, end, timeout):
    for fault, expected in (({"at": 3}, 3), ({"at": 0, "in_reset": True}, 0)):
        step, message = steps_until_fault(made(timeout, call=call, **fault))
        assert (step, message) == (expected, f"the worker process of environment 2 {end}")


def test_a_worker_killed_between_two_steps_is_told_and_the_others_are_closed(made, tmp_path):
    envs = made(close=lambda: (tmp_path / f"{os.getpid()}").touch(), at=-1)
    envs.reset(seed=0)
    others = {str(process.pid) for process in envs.processes[1:]}
    envs.processes[0].kill()
    envs.processes[0].join()
    with pytest.raises(EnvironmentFault, match="^the worker process of environment 0 was killed by signal 9$"):
        envs.step(np.zeros(3, int))
    envs.close()
    assert {path.name for path in tmp_path.iterdir()} == others


@pytest.mark.parametrize("call", [faulty.hang, faulty.stop, faulty.hang_and_ignore_signals])
def test_a_worker_that_hangs_is_told_and_killed(made, call):
    envs = made(1.0, at=3, call=call)
    start = time.monotonic()
    assert steps_until_fault(envs) == (3, "environment 2 did not answer within 1 s (env_timeout)")
    envs.close()
    assert 1.0 < time.monotonic() - start < 5


def test_the_stream_names_the_environment_if_its_own_limit_ends_first(made):
    """Both limits are the same in a run; which one ends first then depends on the load of the machine."""
    stream = EnvStream(made(PATIENCE, at=2, call=faulty.hang), timeout=0.5)
    stream.reset(seed=0)
    expected = r"^In step \d, environment 2 did not answer within 0\.5 s \(env_timeout\)\.$"
    with stream.watched(), pytest.raises(EnvironmentFault, match=expected):
        for _ in range(9):
            stream.step(np.zeros(3, int))


def test_a_worker_that_hangs_in_its_first_reset_is_told(made):
    envs = made(1.0, at=0, in_reset=True, call=faulty.hang)
    assert steps_until_fault(envs) == (0, "environment 2 did not answer within 1 s (env_timeout)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (faulty.raise_exception, r"environment 2 raised RuntimeError: the simulator is gone \(faulty.py, line \d+\) when it was made"),  # noqa: E501
        (faulty.hang, r"environment 2 did not answer within 3 s"),
        (lambda: os._exit(3), r"the worker process of environment 2 ended with exit code 3"),
    ],
)  # fmt: skip
def test_what_goes_wrong_when_environments_are_made_is_told(made, make, message, capfd, monkeypatch):
    monkeypatch.setattr(workers, "START_TIMEOUT", 3.0 if make is faulty.hang else PATIENCE)
    with pytest.raises(EnvironmentFault, match=f"^While the environments were made, {message}.$"):
        made(1.0, make=make)
    assert capfd.readouterr().err == ""
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("call", ["episode_start", "reset_unrestored"])
def test_a_stopped_worker_is_told_whatever_it_is_asked(made, call):
    envs = made(0.3, at=-1)
    envs.reset(seed=0)
    os.kill(envs.processes[1].pid, signal.SIGSTOP)
    arguments = ([None] * 3, [True] * 3, 1.0) if call == "reset_unrestored" else ()
    with pytest.raises(EnvironmentFault, match=r"^environment 1 did not answer within 0\.3 s \(env_timeout\)$"):
        envs.call(call, *arguments)


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_an_environment_that_hangs_while_it_is_restored_begins_another_episode(vectorization):
    def envs(**fault):
        config = PPOConfig(num_envs=3, vectorization=vectorization, env_timeout=0.3, num_minibatches=1)
        return make_vector_env(config, lambda: Faulty(**fault))

    def flatten(obs, flat_obs):
        flat_obs[:] = obs

    with closing(envs(at=-1)) as one:
        stream = EnvStream(one, 0.3).reset(seed=0)
        for _ in range(4):
            stream.step(np.zeros(3, int))
        record = stream.record(stream.mark(Observed(np.array(stream.observed.obs))))
    with closing(envs(at=2, call=faulty.hang)) as other:
        assert EnvStream(other, 0.3).restore(record, 9, flatten).tolist() == [True, True, False]


def test_environments_that_do_not_fit_together_leave_no_process():
    factories = [Faulty, lambda: Faulty(space=faulty.IMAGE)]
    with pytest.raises(RuntimeError, match="observation spaces"):
        WorkerEnvs(factories, PATIENCE)
    assert multiprocessing.active_children() == []


def test_an_answer_that_comes_just_after_the_limit_is_taken(made, monkeypatch):
    envs = made(at=-1)
    envs.reset(seed=0)
    monkeypatch.setattr(envs, "_poll_pipe_envs", lambda timeout: timeout is None)
    envs.step_async(np.zeros(3, int))
    for pipe in envs.parent_pipes:
        assert pipe.poll(PATIENCE)
    envs._await_answers(PATIENCE)
    assert len(envs.step_wait()) == 5


def test_after_a_fault_nothing_stale_is_returned(made):
    envs = made(at=3, call=faulty.raise_exception)
    steps_until_fault(envs)
    with pytest.raises(Exception, match="step"):
        envs.step(np.zeros(3, int))


@pytest.mark.parametrize("close", [faulty.raise_exception, lambda: os._exit(5)])
def test_environments_that_fail_to_close_do_not_matter(made, close, capfd):
    envs = made(at=-1, close=close)
    envs.reset(seed=0)
    start = time.monotonic()
    envs.close()
    assert time.monotonic() - start < 5
    capfd.readouterr()


def test_environments_that_hang_in_close_are_killed_at_the_limit_for_all_together(made, monkeypatch):
    monkeypatch.setattr(workers, "CLOSE_TIMEOUT", 1.0)
    envs = made(at=-1, num_envs=5, close=faulty.hang)
    envs.reset(seed=0)
    start = time.monotonic()
    envs.close()
    assert 1.0 <= time.monotonic() - start < 4


def test_environments_may_take_their_time_to_close(made, tmp_path):
    envs = made(at=-1, close=lambda: (time.sleep(1.5), (tmp_path / str(os.getpid())).touch()))
    envs.reset(seed=0)
    envs.close()
    assert len(list(tmp_path.iterdir())) == 3


def test_signals_for_the_main_process_do_not_touch_workers_nor_what_they_start(made, tmp_path):
    def start_a_child():
        with subprocess.Popen(["sleep", "100"]) as child:
            child.terminate()
        (tmp_path / "code").write_text(str(child.returncode))

    envs = made(at=2, call=start_a_child)
    envs.reset(seed=0)
    for number in (signal.SIGINT, signal.SIGTERM):
        for process in envs.processes:
            os.kill(process.pid, number)
    envs.step(np.zeros(3, int))
    envs.step(np.zeros(3, int))
    assert (tmp_path / "code").read_text() == str(-signal.SIGTERM)
