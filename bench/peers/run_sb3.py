"""Stable-Baselines3's PPO, and sbx's, which has the same interface."""

from typing import NoReturn

from protocol import Clock, Job, take_turns


def measure(job: Job, clock: Clock) -> NoReturn:
    """Train."""
    import torch
    from stable_baselines3 import PPO
    from torch import nn

    torch.set_num_threads(job.threads)
    activation = {"tanh": nn.Tanh, "relu": nn.ReLU}[job.activation]
    layers = {"pi": [*job.shared_sizes, *job.policy_sizes], "vf": [*job.shared_sizes, *job.value_sizes]}
    network = {"net_arch": layers, "activation_fn": activation, "optimizer_kwargs": {"eps": 1e-5}}
    train(PPO, job, clock, policy_kwargs=network, clip_range_vf=job.clip_coef, device="cpu")


def train(algorithm: type, job: Job, clock: Clock, **arguments) -> NoReturn:
    """Train with an algorithm of that interface on SB3's own vector environment, timed at the ends of the updates."""
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class Marks(BaseCallback):
        """Each rollout begins where an update has ended."""

        def _on_rollout_start(self):
            if self.num_timesteps:
                clock.mark(self.num_timesteps)

        def _on_step(self):
            return True

    ppo = algorithm(
        "MlpPolicy", make_vec_env(job.env_id, job.num_envs, seed=job.seed), seed=job.seed,
        learning_rate=lambda remaining: remaining * job.learning_rate, n_steps=job.num_steps,
        batch_size=job.minibatch_size, n_epochs=job.update_epochs, gamma=job.gamma, gae_lambda=job.gae_lambda,
        clip_range=job.clip_coef, ent_coef=job.ent_coef, vf_coef=job.vf_coef, max_grad_norm=job.max_grad_norm,
        **arguments,
    )  # fmt: skip
    clock.start()
    ppo.learn(job.total_timesteps, callback=Marks())


if __name__ == "__main__":
    take_turns("Stable-Baselines3", ("stable-baselines3", "torch", "gymnasium", "numpy"), measure)
