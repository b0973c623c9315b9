"""Train a policy on CartPole, save it, load it, and act with it: `python examples/cartpole.py`."""

from pathlib import Path

import gymnasium

from ppo_np import PPO, PPOConfig
from ppo_np.learning.metrics import Metrics


def show(ppo: PPO, metrics: Metrics) -> None:
    """Print where training is, after each update."""
    print(f"step {metrics.step}: mean return {metrics.episodic_return:.1f}")


file = Path("cartpole.h5")
config = PPOConfig(env_id="CartPole-v1", total_timesteps=20_000, shared_sizes=(64, 64), learning_rate=2.5e-3)
PPO(config).learn(show).save(file)

observation, _ = gymnasium.make("CartPole-v1").reset(seed=0)
print("action:", PPO.load(file).predict(observation, deterministic=True))
