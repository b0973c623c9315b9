"""What the benchmarks use of ppo_np beside `PPO` and `PPOConfig`.

Two modules reach further: `contests/parts.py`, for the parts of a step, and `peers/pieces.py`, for those of a rank.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from bench.peers.protocol import Job
from bench.peers.rows import NUM_ACTIONS, OBS_SIZE
from kernels.advantage import normalize
from kernels.optimizer import clip_by_global_norm, global_norm
from ppo_np.config import PPOConfig
from ppo_np.environments.stream import LARGEST
from ppo_np.network.action_head import discrete
from ppo_np.network.model import ActorCritic
from ppo_np.network.optimizer import Adam
from ppo_np.network.threads import is_wide, limit_blas_threads
from ppo_np.saving.checkpoint import library_versions

__all__ = [
    "LARGEST", "NUM_ACTIONS", "OBS_SIZE", "Learner", "config_of", "is_wide", "library_versions", "limit_blas_threads",
    "model_of",
]  # fmt: skip


def config_of(job: Job) -> PPOConfig:
    """Those of the job's fields that are settings of ours."""
    known = {field.name for field in dataclasses.fields(PPOConfig)}
    return PPOConfig(**{name: value for name, value in dataclasses.asdict(job).items() if name in known})


def model_of(**settings) -> ActorCritic:
    """A network for LunarLander's observations and actions, with these settings."""
    config = PPOConfig(**settings)
    return ActorCritic(OBS_SIZE, discrete(NUM_ACTIONS), config, np.random.default_rng(config.seed))


class Learner:
    """A network with its optimiser and one minibatch, from which it learns repeatedly.

    Attributes:
        model, minibatch, activations: the network, its input, its workspace.
    """

    def __init__(self, config: PPOConfig, rows: Mapping[str, np.ndarray]):
        self.config = config
        self.model = model_of(**dataclasses.asdict(config))
        self.optimizer = Adam(self.model.params, self.model.grads, config)
        self.minibatch = self.model.minibatch(len(rows["obs"]))
        self.activations = self.model.activations(self.minibatch.rows)
        for name, column in rows.items():
            getattr(self.minibatch, name)[:] = column

    def step(self) -> None:
        """One minibatch: forward pass, loss, backward pass, clipping, Adam."""
        model, config, advantages = self.model, self.config, self.minibatch.advantages
        normalize(advantages, advantages)
        model.loss_and_gradient(self.minibatch, self.activations, config)
        clip_by_global_norm(model.grads, global_norm(model.grads), config.max_grad_norm)
        self.optimizer.step(config.learning_rate)
