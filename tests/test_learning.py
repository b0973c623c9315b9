"""Learning runs of minutes, over several seeds: `pytest -m slow`.

Each threshold is the mean less three standard deviations of a measured distribution, which the test names: greedy means
over 20 episodes with the seeds 10,000 to 10,019, one for each training seed.
"""

import dataclasses

import pytest

from ppo_np import PPO, PPOConfig
from ppo_np.playback import evaluate

pytestmark = pytest.mark.slow

SMALL = PPOConfig(shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64), activation="tanh")


def greedy_mean(config, seed, tmp_path):
    ppo = PPO(dataclasses.replace(config, seed=seed)).learn()
    ppo.save(tmp_path / "checkpoint.h5")
    return evaluate(tmp_path / "checkpoint.h5", episodes=20, seed=10_000)["mean_return"]


@pytest.mark.parametrize("seed", [100, 101, 102])
def test_cartpole_in_100_000_steps(seed, tmp_path):
    """Seeds 0 to 9 gave 473.6 to 496.6: mean 487.1, standard deviation 8.2."""
    config = dataclasses.replace(SMALL, env_id="CartPole-v1", total_timesteps=100_000)
    assert greedy_mean(config, seed, tmp_path) >= 460


@pytest.mark.parametrize("seed", [100, 101, 102])
def test_lunar_lander_in_500_000_steps(seed, tmp_path):
    """Seeds 0 to 5 gave 180.4 to 238.2: mean 203.3, standard deviation 19.8."""
    config = dataclasses.replace(
        SMALL,
        total_timesteps=500_000,
        num_envs=16,
        learning_rate=1e-3,
        gamma=0.995,
        num_minibatches=16,
        update_epochs=8,
    )
    assert greedy_mean(config, seed, tmp_path) >= 140
