"""Evaluate while training, keep the best policy, and play with it: `python examples/evaluation.py`."""

import gymnasium

from ppo_np import PPO
from ppo_np.callbacks import EvaluateEvery

evaluate = EvaluateEvery(20, episodes=5)  # greedy episodes after every 20 updates; best.h5 is the best policy
ppo = PPO("CartPole-v1", total_timesteps=30_000)
ppo.learn(evaluate, run_dir="runs/evaluation", progress=True)
print(f"best mean return: {evaluate.best_return}")

best = PPO.load("runs/evaluation/best.h5")
env = gymnasium.make("CartPole-v1")
for seed in range(3):
    observation, _ = env.reset(seed=seed)
    episodic_return, done = 0.0, False
    while not done:
        observation, reward, terminated, truncated, _ = env.step(best.predict(observation))
        episodic_return, done = episodic_return + float(reward), terminated or truncated
    print(f"seed {seed}: return {episodic_return}")
