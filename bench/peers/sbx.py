"""sbx's PPO: Stable-Baselines3's loop with the network and the updates in JAX. It does not clip the value."""

from typing import NoReturn

import flax.linen
from sbx import PPO

from bench.peers.protocol import Clock, Job, perform
from bench.peers.sb3 import train_with


def train(job: Job, clock: Clock) -> NoReturn:
    """Train."""
    layers = [*job.shared_sizes, *job.policy_sizes]
    network = {"net_arch": {"pi": layers, "vf": layers}, "activation_fn": getattr(flax.linen, job.activation)}
    train_with(PPO, job, clock, policy_kwargs=network)


if __name__ == "__main__":
    perform("sbx", ("sbx-rl", "stable-baselines3", "jax", "gymnasium", "numpy"), train=train)
