"""A callback that logs a number and may stop, and ready-made ones: `python examples/callback.py`."""

from ppo_np import PPO
from ppo_np.callbacks import SaveEvery, StopAtReturn
from ppo_np.learning.metrics import Metrics


def log_long_episodes(ppo: PPO, metrics: Metrics) -> bool:
    """Log the share of the last episodes that had more than 200 steps, and stop after 60 seconds."""
    long = [episode.episodic_length > 200 for episode in ppo.recent_episodes]
    ppo.log("long_episodes", sum(long) / max(len(long), 1))  # a column of metrics.csv and a TensorBoard scalar
    return metrics.wall_time < 60


ppo = PPO("CartPole-v1", seed=1)
ppo.learn([log_long_episodes, StopAtReturn(200), SaveEvery(50)], run_dir="runs/callback", progress=True)
print(f"stopped after {ppo.global_step} of {ppo.config.total_timesteps} steps")
print("go on with: python -m ppo_np.train --resume runs/callback")
