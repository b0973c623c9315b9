"""Learning runs of minutes, over several seeds: `pytest -m slow`."""

import pytest

from ppo_np import PPO, PPOConfig
from ppo_np.playback import evaluate

pytestmark = pytest.mark.slow


def greedy_means(config, seeds, tmp_path):
    for seed in seeds:
        path = tmp_path / f"{seed}.h5"
        PPO(PPOConfig(**(config.to_dict() | {"seed": seed}))).learn().save(path)
        yield evaluate(path, episodes=20, seed=10_000)["mean_return"]
