"""Faulty environments in training: one sentence with environment and step, nothing lost, nothing left behind."""

import itertools
import multiprocessing
import os
import re
import signal
import threading
import time
from contextlib import closing

import faulty
import numpy as np
import pytest
from faulty import Faulty, FaultyVector
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from sentences import FORM, NO_REWARD, NUMBER, REWARD, SAID, SILENCE

from ppo_np import PPO, PPOConfig
from ppo_np.errors import EnvironmentFault
from ppo_np.saving.checkpoint import read_checkpoint

pytestmark = pytest.mark.faults

PATIENCE = 60.0
SMALL = {"seed": 0, "num_envs": 3, "num_steps": 8, "num_minibatches": 1, "update_epochs": 1, "shared_sizes": (8,)}
both_ways = pytest.mark.parametrize("vectorization", ["sync", "async"])
FLOATS, BYTES = r"shape \(2,\) and type float32", r"shape \(2,\) and type uint8"
FAULTS = [
    ({"obs": np.array([np.nan, 0], np.float32)}, NUMBER.format(0, "nan")),
    ({"obs": np.array([0, np.inf], np.float32)}, NUMBER.format(1, "inf")),
    ({"obs": np.array([0, -np.inf])}, NUMBER.format(1, "-inf")),
    ({"obs": np.array([0, 1e38], np.float32)}, NUMBER.format(1, r"(9\.99\d*e\+37|1e\+38)")),
    ({"obs": np.zeros(3, np.float32)}, FORM.format(r"shape \(3,\) and type float32", FLOATS)),
    ({"obs": np.array([None, 1])}, FORM.format(r"shape \(2,\) and type object", FLOATS)),
    ({"obs": None}, FORM.format(r"shape \(\) and type object", FLOATS)),
    ({"obs": np.zeros(2), "space": faulty.IMAGE}, FORM.format(r"shape \(2,\) and type float64", BYTES)),
    (
        {"obs": 3, "space": spaces.Discrete(3)},
        r"environment 2 gave an observation 3, but it must be in Discrete\(3\)",
    ),
    ({"reward": np.nan}, REWARD.format("nan")),
    ({"reward": -np.inf}, REWARD.format("-inf")),
    ({"reward": 1e38}, REWARD.format(r"1e\+38")),
    ({"reward": "1"}, NO_REWARD.format("'1'")),
    ({"reward": None}, NO_REWARD.format("None")),
    ({"reward": np.ones(2)}, NO_REWARD.format(r"array\(\[1\., 1\.\]\)")),
    (
        {"wrong_answer": (np.zeros(2, np.float32), 1.0, False, {})},
        r"environment 2 raised ValueError: not enough values to unpack \(expected 5, got 4\) \(guard\.py, line \d+\)",
    ),
    ({"call": faulty.raise_exception}, SAID),
]


def told(env, expected, **settings):
    """Train on `env`; check that it ends with the expected sentence, unchanged parameters and no process."""
    ppo, states = None, []

    def remember(ppo, _metrics=None):
        states.append(
            [array.copy() for array in (ppo.policy.model.params, ppo.state.optimizer.m, ppo.state.optimizer.v)]
        )

    children = set(multiprocessing.active_children())
    try:
        with pytest.raises(EnvironmentFault) as caught:
            ppo = PPO(PPOConfig(**{**SMALL, "env_timeout": PATIENCE, "total_timesteps": 1000, **settings}), env)
            remember(ppo)
            ppo.learn(remember)
        if ppo:
            for now, then in zip(
                (ppo.policy.model.params, ppo.state.optimizer.m, ppo.state.optimizer.v), states[-1], strict=True
            ):
                assert np.array_equal(now, then)
            assert ppo.update == len(states) - 1
    finally:
        start = time.monotonic()
        if ppo:
            ppo.close()
    assert time.monotonic() - start < 5
    assert set(multiprocessing.active_children()) == children
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert re.fullmatch(expected, str(caught.value)), str(caught.value)
    return len(states)


@both_ways
@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_a_fault_is_one_sentence_and_changes_nothing(vectorization, fault, expected):
    seen = told(lambda: Faulty(**fault), rf"In step 13, {expected}\.", vectorization=vectorization)
    assert seen == 2  # as it began, and after the first update of 8 steps


@both_ways
@pytest.mark.parametrize(
    ("at", "in_reset"),
    [(0, True), (1, False), (5, False), (5, True), (8, False), (10, True), (16, False)],
    ids=["first reset", "first", "last of episode", "reset", "last of rollout", "later reset", "last of second"],
)
def test_the_step_is_right_wherever_it_happens(vectorization, at, in_reset):
    where = {"at": at, "in_reset": in_reset, "index": 1}
    said = SAID.replace("2", "1") + (" in its reset" if in_reset else "")
    told(lambda: Faulty(call=faulty.raise_exception, **where), rf"In step {at}, {said}\.", vectorization=vectorization)
    bad = np.array([0, np.nan], np.float32)
    number = NUMBER.format(1, "nan").replace("environment 2", "environment 1")
    told(lambda: Faulty(obs=bad, **where), rf"In step {at}, {number}\.", vectorization=vectorization)


class Talkative(Faulty):
    """Puts things into its infos that cannot be put together with those of others, or not be pickled."""

    def infos(self):
        ragged = {
            "moves": np.arange(self.steps % 5 + self.index),
            "value": np.nan if self.steps % 2 else 1,
            "none": None,
        }
        taken = {
            "final_obs": "mine",
            "_final_obs": 3,
            "final_info": 0,
            "episode": 1,
            "deep": {"moves": ragged["moves"]},
        }
        return [ragged, taken, {"function": lambda: 0, 3: 4}, None, [], "text"][self.steps % 6]

    def reset(self, **kwargs):
        return super().reset(**kwargs)[0], self.infos()

    def step(self, action):
        return *super().step(action)[:4], self.infos()


@both_ways
def test_infos_that_nobody_reads_change_nothing(vectorization):
    def params(kind):
        with closing(
            PPO(PPOConfig(**SMALL, vectorization=vectorization, total_timesteps=72), lambda: kind(at=-1))
        ) as ppo:
            ppo.learn()
            return ppo.policy.model.params

    assert np.array_equal(params(Talkative), params(Faulty))


@both_ways
def test_the_first_environment_can_be_the_one(vectorization):
    expected = rf"In step 13, {REWARD.format('nan').replace('environment 2', 'environment 0')}\."
    told(lambda: Faulty(index=0, reward=np.nan), expected, vectorization=vectorization)


@both_ways
@pytest.mark.parametrize(("at", "in_reset"), [(0, True), (10, True), (13, False)])
def test_hanging_is_told_within_the_time_limit(vectorization, at, in_reset):
    start = time.monotonic()
    told(
        lambda: Faulty(call=faulty.hang, at=at, in_reset=in_reset),
        rf"In step {at}, {SILENCE}\.",
        vectorization=vectorization,
        env_timeout=1.0,
    )
    assert 1.0 <= time.monotonic() - start < 8


def test_hanging_that_swallows_the_first_fault_is_told():
    told(lambda: Faulty(call=faulty.hang_and_swallow), rf"In step 13, {SILENCE}\.", env_timeout=1.0)


@both_ways
def test_the_last_observation_matters_where_it_is_used(vectorization):
    """A simulation that has exploded may terminate with NaN; a truncated episode needs the value of its last one."""
    last = np.full(2, np.nan, np.float32)
    settings = SMALL | {"vectorization": vectorization, "total_timesteps": 48}
    with closing(PPO(PPOConfig(**settings), lambda: Faulty(at=5, wrong_answer=(last, 1.0, True, False, {})))) as ppo:
        assert ppo.learn().update == 2
    truncated = (last, 1.0, False, True, {})
    expected = rf"In step 5, {NUMBER.format(0, 'nan')}\."
    told(lambda: Faulty(at=5, wrong_answer=truncated), expected, vectorization=vectorization)


@pytest.mark.parametrize("call", [faulty.stop, faulty.hang_and_ignore_signals])
def test_a_worker_that_cannot_be_interrupted_is_told_and_killed(call):
    told(lambda: Faulty(call=call), rf"In step 13, {SILENCE}\.", vectorization="async", env_timeout=1.0)


@pytest.mark.parametrize(
    ("call", "end"),
    [
        (lambda: os._exit(3), "ended with exit code 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by signal 9"),
    ],
)
def test_a_worker_that_dies_is_told(call, end):
    expected = rf"In step 13, the worker process of environment 2 {end}\."
    told(lambda: Faulty(call=call), expected, vectorization="async")


def test_a_worker_killed_from_outside_is_told():
    config = PPOConfig(**SMALL, vectorization="async", total_timesteps=1000)
    ppo = PPO(config, lambda: Faulty(at=-1))
    with pytest.raises(
        EnvironmentFault, match=r"^In step 9, the worker process of environment 1 was killed by signal 9"
    ):
        ppo.learn(lambda ppo, metrics: ppo.envs.processes[1].kill())
    assert ppo.update == 1
    ppo.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_killed_or_stopped_while_the_run_learns_loses_nothing(tmp_path, number):
    """The state after the update is saved, with the environments, and without an answer of the worker."""

    def train(during, last_update=None):
        settings = SMALL | {"vectorization": "async", "total_timesteps": 1000, "env_timeout": 0.5}
        with closing(PPO(PPOConfig(**settings), lambda: Faulty(at=-1))) as ppo:
            step, steps = ppo.state.optimizer.step, itertools.count()
            ppo.state.optimizer.step = lambda *rates: (next(steps) == 1 and during(ppo), step(*rates))
            try:
                ppo.learn(lambda ppo, _: ppo.update != last_update)
            finally:
                ppo.save(tmp_path / "end.h5")
        return read_checkpoint(tmp_path / "end.h5")

    end = r"was killed by signal 9|did not answer within 0\.5 s \(env_timeout\)"
    with pytest.raises(EnvironmentFault, match=rf"^In step 17, .*environment 1 ({end})"):
        train(lambda ppo: os.kill(ppo.envs.processes[1].pid, number))
    saved = read_checkpoint(tmp_path / "end.h5")
    whole = train(lambda ppo: None, last_update=2)
    assert saved.counters == whole.counters
    np.testing.assert_equal(saved.parameters, whole.parameters)
    np.testing.assert_equal(saved.environments.arrays(), whole.environments.arrays())


@both_ways
def test_after_an_interruption_in_python_it_can_learn_on(vectorization):
    pid = os.getpid()
    settings = SMALL | {"vectorization": vectorization, "total_timesteps": 72}
    with closing(PPO(PPOConfig(**settings), lambda: Faulty(call=lambda: os.kill(pid, signal.SIGINT)))) as ppo:
        with pytest.raises(KeyboardInterrupt):
            ppo.learn()
        assert (ppo.update, ppo.stream.steps) == (1, 13)
        ppo.learn()
        assert (ppo.update, ppo.global_step) == (3, 72)
        assert ppo.stream.observed.obs.shape == (3, 2)


def test_what_fails_in_making_environments_is_told():
    expected = rf"While the environments were made, {SAID} when it was made\."
    told(lambda: Faulty(make=faulty.raise_exception), expected, vectorization="async")


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (FAULTS[0][0], NUMBER.format(0, "nan")),
        ({"reward": np.nan}, REWARD.format("nan")),
        ({"reward": "much"}, r"the vector environment raised ValueError: could not convert string to float: 'much' .*"),
        ({"call": faulty.raise_exception}, SAID.replace("environment 2", "the vector environment")),
        ({"call": faulty.hang}, SILENCE.replace("environment 2", "the vector environment")),
    ],
)
def test_a_vector_environment_of_somebody_elses(mode, fault, expected):
    timeout = 1.0 if "call" in fault else PATIENCE
    told(FaultyVector(mode=mode, at=4, **fault), rf"In step 4, {expected}\.", env_timeout=timeout)


def test_a_vector_environment_by_its_id():
    # The thirteenth step of each environment, after two steps for resets.
    told("faulty:NaN-v0", rf"In step 15, {REWARD.format('nan')}\.", vectorization="vector")


@both_ways
def test_a_run_without_faults_leaves_no_trace(vectorization):
    threads = threading.active_count()
    ppo = PPO(PPOConfig(**SMALL, vectorization=vectorization, total_timesteps=48), lambda: Faulty(at=-1))
    ppo.learn()
    ppo.close()
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert multiprocessing.active_children() == []
    assert threading.active_count() == threads
