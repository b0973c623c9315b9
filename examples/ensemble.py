"""Three policies act together, by the mean of their probabilities: `python examples/ensemble.py`."""

from collections.abc import Sequence

import gymnasium
import numpy as np

from ppo_np import PPO, Policy


def mean_return(policies: Sequence[Policy], episodes: int = 5) -> float:
    """The mean return of some episodes, always with the same seeds."""
    env, total = gymnasium.make("CartPole-v1"), 0.0
    for seed in range(episodes):
        (observation, _), done = env.reset(seed=seed), False
        while not done:
            probabilities = np.mean([policy.probabilities(observation) for policy in policies], axis=0)
            observation, reward, terminated, truncated, _ = env.step(int(probabilities.argmax()))
            total, done = total + float(reward), terminated or truncated
    return total / episodes


members = [PPO("CartPole-v1", seed=seed, total_timesteps=15_000).learn().policy for seed in (1, 2, 3)]
for number, member in enumerate(members, 1):
    print(f"policy {number}: mean return {mean_return([member]):.1f}")
print(f"together: mean return {mean_return(members):.1f}")
