"""Stable-Baselines3's PPO: training, and the race with the settings of RL Baselines3 Zoo for LunarLander."""

from collections.abc import Callable
from typing import NoReturn

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from bench.peers.protocol import Clock, Job, Race, perform
from bench.peers.referee import Referee

ENVS = 16
ZOO = {"n_steps": 1024, "batch_size": 64, "n_epochs": 4, "gae_lambda": 0.98, "gamma": 0.999, "ent_coef": 0.01}


class EndsOfUpdates(BaseCallback):
    """Calls `after_update` where a rollout but the first begins; training ends if that returns True."""

    def __init__(self, after_update: Callable[[], bool]):
        super().__init__()
        self.after_update, self.enough = after_update, False

    def _on_rollout_start(self):
        self.enough = self.num_timesteps > 0 and self.after_update()

    def _on_step(self):
        return not self.enough


def train(job: Job, clock: Clock) -> NoReturn:
    """Train."""
    torch.set_num_threads(job.threads)
    activation = {"tanh": nn.Tanh, "relu": nn.ReLU}[job.activation]
    layers = {"pi": [*job.shared_sizes, *job.policy_sizes], "vf": [*job.shared_sizes, *job.value_sizes]}
    network = {"net_arch": layers, "activation_fn": activation, "optimizer_kwargs": {"eps": 1e-5}}
    train_with(PPO, job, clock, policy_kwargs=network, clip_range_vf=job.clip_coef, device="cpu")


def train_with(algorithm: type, job: Job, clock: Clock, **arguments) -> NoReturn:
    """Train with an algorithm of that interface on SB3's own vector environment, timed at the ends of the updates."""

    def after_update() -> bool:
        clock.mark(ppo.num_timesteps)
        return False

    ppo = algorithm(
        "MlpPolicy", make_vec_env(job.env_id, job.num_envs, seed=job.seed), seed=job.seed,
        learning_rate=lambda remaining: remaining * job.learning_rate, n_steps=job.num_steps,
        batch_size=job.minibatch_size, n_epochs=job.update_epochs, gamma=job.gamma, gae_lambda=job.gae_lambda,
        clip_range=job.clip_coef, ent_coef=job.ent_coef, vf_coef=job.vf_coef, max_grad_norm=job.max_grad_norm,
        **arguments,
    )  # fmt: skip
    clock.start()
    ppo.learn(job.total_timesteps, callback=EndsOfUpdates(after_update))


def solve(race: Race) -> dict:
    """Train; evaluate after the updates."""
    torch.set_num_threads(race.threads)
    referee = Referee(race)

    def solved() -> bool:
        return referee.solved(ppo.num_timesteps, lambda obs: ppo.predict(obs, deterministic=True)[0])

    envs = make_vec_env(race.env_id, ENVS, seed=race.seed)
    ppo = PPO("MlpPolicy", envs, seed=race.seed, device="cpu", **ZOO)
    callback = EndsOfUpdates(solved)
    ppo.learn(race.total_timesteps, callback=callback)
    if not callback.enough:
        solved()  # after the last update no rollout begins
    return referee.verdict()


if __name__ == "__main__":
    perform("Stable-Baselines3", ("stable-baselines3", "torch", "gymnasium", "numpy"), train=train, solve=solve)
