"""Learning runs of minutes, over several seeds: `pytest -m slow`.

The return of a single run varies much from seed to seed, so the mean over three is judged. A test's threshold is
mu - 3 sigma / sqrt(3) of a measured distribution, which its docstring gives: greedy means over 20 episodes (seeds
10,000 to 10,019), one for each training seed. A distribution of six runs proved too small to know its tail.
"""

import dataclasses

import numpy as np
import pytest

from ppo_np import PPO, PPOConfig
from ppo_np.evaluation.playback import evaluate

pytestmark = pytest.mark.slow

SMALL = PPOConfig(shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64), activation="tanh")


def mean_of_three_seeds(config, tmp_path):
    means = []
    for seed in range(3):
        ppo = PPO(dataclasses.replace(config, seed=seed)).learn()
        ppo.save(tmp_path / "checkpoint.h5")
        means.append(evaluate(tmp_path / "checkpoint.h5", episodes=20, seed=10_000)["mean_return"])
    return np.mean(means)


def test_cartpole_in_100_000_steps(tmp_path):
    """18 seeds (0 to 5, 100 to 111) gave 372 to 500: mean 473.0, standard deviation 30.8."""
    config = dataclasses.replace(SMALL, env_id="CartPole-v1", total_timesteps=100_000)
    assert mean_of_three_seeds(config, tmp_path) >= 420


def test_lunar_lander_in_500_000_steps(tmp_path):
    """10 seeds (0 to 2, 100 to 106) gave 72 to 237: mean 185.3, standard deviation 46.4."""
    settings = {"num_envs": 16, "learning_rate": 1e-3, "gamma": 0.995, "num_minibatches": 16, "update_epochs": 8}
    config = dataclasses.replace(SMALL, total_timesteps=500_000, **settings)
    assert mean_of_three_seeds(config, tmp_path) >= 105
