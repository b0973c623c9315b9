"""Greedy evaluation during training: when it is done, and what happens when its environment misbehaves."""

import csv
import time
from dataclasses import replace

import numpy as np
import pytest
import sample_environments
from threadpoolctl import threadpool_info

from ppo_np import PPO, EnvironmentFault, PPOConfig
from ppo_np.evaluation.periodic import PeriodicEvaluation
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.tensorboard import TensorBoardLogger

SMALL = PPOConfig(
    env_id="ppo_np_test/Counting-v0", total_timesteps=64, num_envs=1, num_steps=8, shared_sizes=(4,), env_timeout=1.0
)


class Evaluated:
    """A PPO that is evaluated after every second update, on an environment whose `step` is given."""

    def __init__(self, folder, step=None, every=2, config=SMALL):
        self.env, self.folder = sample_environments.Counting(), folder
        if step:
            self.env.step = step
        self.ppo = PPO(config)
        self.evaluation = PeriodicEvaluation(self.ppo, self.env, folder, every, 3, Incidents(pytest.fail))
        self.tensorboard = TensorBoardLogger(folder)

    def learn(self):
        try:
            self.ppo.learn(lambda ppo, _: self.evaluation.after_update(ppo, self.tensorboard))
        finally:
            self.evaluation.close()
        return self.rows()

    def rows(self):
        with open(self.folder / "evaluations.csv", newline="") as file:
            return list(csv.DictReader(file))


def test_it_is_done_after_so_many_updates_and_after_the_last_one(tmp_path):
    rows = Evaluated(tmp_path, every=3).learn()
    assert [row["update"] for row in rows] == ["3", "6", "8"]
    # Lengths 3, 4, 3, and so on, one point a step and one more for action 1.
    assert all(10 / 3 <= float(row["mean_return"]) <= 22 / 3 for row in rows)
    assert (tmp_path / "best.h5").exists()


def test_a_fault_is_one_sentence(tmp_path):
    evaluated = Evaluated(tmp_path, step=lambda action: 1 / 0)
    fault = r"^In step 1 of the episode with seed 1000000, environment 0 raised ZeroDivisionError: .*\.$"
    with pytest.raises(EnvironmentFault, match=fault):
        evaluated.learn()
    assert evaluated.ppo.update == 2
    assert evaluated.rows() == []


def test_an_environment_that_hangs_is_one_sentence(tmp_path):
    evaluated = Evaluated(tmp_path, step=lambda action: time.sleep(60))
    start = time.monotonic()
    with pytest.raises(EnvironmentFault, match=r"environment 0 did not answer within 1 s \(env_timeout\)\.$"):
        evaluated.learn()
    assert time.monotonic() - start < 10


def test_an_evaluation_before_learning_has_the_time_limit_and_the_threads_of_learning(tmp_path):
    """A resumed run begins with the evaluation that was interrupted."""
    before, seen = threadpool_info(), []

    def step(action):
        seen.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        time.sleep(60)

    evaluated = Evaluated(tmp_path, step=step, config=replace(SMALL, env_timeout=0.2))
    evaluated.ppo.state.update = 2
    with pytest.raises(EnvironmentFault, match=r"environment 0 did not answer within 0\.2 s \(env_timeout\)\.$"):
        evaluated.evaluation.after_update(evaluated.ppo, evaluated.tensorboard)
    assert seen == [{1}]
    assert threadpool_info() == before
    assert evaluated.rows() == []
    evaluated.evaluation.close()


@pytest.mark.parametrize("reward", [np.nan, -np.inf, 1e16, np.float32("nan"), 10**400])
def test_a_reward_that_training_refuses_is_a_fault(tmp_path, reward):
    evaluated = Evaluated(tmp_path, step=lambda action: (evaluated.env._obs(), reward, True, False, {}))
    fault = r"^In step 1 of the episode with seed 1000000, environment 0 gave the reward .*, but it must be a .*number"
    with pytest.raises(EnvironmentFault, match=fault):
        evaluated.learn()
    assert evaluated.rows() == []
    assert not (tmp_path / "best.h5").exists()


class Screen:
    """Shows all progress of an evaluation; keeps what it was told."""

    pause = 0

    def __init__(self):
        self.notes, self.lasting = [], []

    def note(self, text, lasting=False):
        (self.lasting if lasting else self.notes).append(text)


def test_progress_is_shown(tmp_path):
    evaluated, screen = Evaluated(tmp_path), Screen()
    evaluated.ppo.state.update = 2
    evaluated.evaluation.after_update(evaluated.ppo, evaluated.tensorboard, screen)
    places = [note.partition(", return")[0] for note in screen.notes]
    assert places == [f"episode {i} of 3, step {k}" for i, n in ((1, 3), (2, 4), (3, 3)) for k in range(1, n + 1)]
    assert screen.lasting == []
    evaluated.evaluation.close()


@pytest.mark.parametrize(
    ("steps", "played"),
    [(3, "0 of 3 episodes"), (8, "1 of 3 episodes, mean return 5.00"), (13, "2 of 3 episodes")],
)
def test_a_stopped_evaluation_says_what_it_has_played(tmp_path, steps, played):
    calls = []

    def step(action):
        calls.append(action)
        if len(calls) == steps:
            evaluated.ppo.stop()
        return evaluated.env._obs(), 1.0, len(calls) % 5 == 0, False, {}

    evaluated, screen = Evaluated(tmp_path, step), Screen()
    evaluated.ppo.state.update = 2
    evaluated.evaluation.after_update(evaluated.ppo, evaluated.tensorboard, screen)
    assert len(screen.lasting) == 1
    assert screen.lasting[0].startswith(f"stopped after {played}")
    assert evaluated.rows() == []
    evaluated.evaluation.close()


def test_stopping_ends_an_endless_episode(tmp_path):
    calls = []

    def step(action):
        calls.append(action)
        if len(calls) == 100:
            evaluated.ppo.stop()
        return evaluated.env._obs(), 0.0, False, False, {}

    evaluated = Evaluated(tmp_path, step=step)
    assert evaluated.learn() == []
    assert len(calls) == 100
    assert not (tmp_path / "best.h5").exists()
