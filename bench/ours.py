"""What the benchmarks use of ppo_np beside `PPO` and `PPOConfig`.

Two modules reach further: `contests/parts.py`, for the parts of a step, and `peers/pieces.py`, for those of a rank.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from bench.peers.protocol import Job
from bench.peers.rows import NUM_ACTIONS, OBS_SIZE
from kernels import adam, clip_by_global_norm, global_norm
from ppo_np.checkpoint import library_versions
from ppo_np.config import PPOConfig
from ppo_np.distributions import discrete
from ppo_np.model import ActorCritic
from ppo_np.stream import LARGEST
from ppo_np.threads import is_wide, limit_blas_threads

__all__ = [
    "LARGEST", "NUM_ACTIONS", "OBS_SIZE", "Learner", "config_of", "is_wide", "library_versions", "limit_blas_threads",
    "model_of",
]  # fmt: skip


def config_of(job: Job) -> PPOConfig:
    """Those of the job's fields that are settings of ours."""
    known = {field.name for field in dataclasses.fields(PPOConfig)}
    return PPOConfig(**{name: value for name, value in dataclasses.asdict(job).items() if name in known})


def model_of(seed: int = 0, **settings) -> ActorCritic:
    """A network for LunarLander's observations and actions, with these settings."""
    return ActorCritic(OBS_SIZE, discrete(NUM_ACTIONS), PPOConfig(**settings), np.random.default_rng(seed))


class Learner:
    """A network with Adam's moments and the rows of one minibatch, which it learns again and again.

    Args:
        config: the settings.
        rows: obs (B, D), actions, old_logprobs, old_values, advantages and returns, (B,) each.

    Attributes:
        model, batch: the network, and the arrays of the minibatch.
    """

    def __init__(self, config: PPOConfig, rows: Mapping[str, np.ndarray]):
        self.config, self.steps = config, 0
        self.model = ActorCritic(OBS_SIZE, discrete(NUM_ACTIONS), config, np.random.default_rng(config.seed))
        self.batch = self.model.batch(len(rows["obs"]))
        self.m, self.v = np.zeros((2, self.model.params.size), self.model.dtype)
        for name, column in rows.items():
            getattr(self.batch, name)[:] = column

    def step(self) -> None:
        """One minibatch: forward pass, loss, backward pass, clipping, Adam."""
        model, config = self.model, self.config
        self.steps += 1
        model.loss_and_gradient(self.batch, config)
        clip_by_global_norm(model.grads, global_norm(model.grads), config.max_grad_norm)
        adam(
            model.params, model.grads, self.m, self.v, self.steps,
            config.learning_rate, config.adam_beta1, config.adam_beta2, config.adam_eps,
        )  # fmt: skip
