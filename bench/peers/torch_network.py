"""An actor-critic in torch and one step of its optimiser, with CleanRL's losses; in our own words."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from bench.peers.kernels_torch import ppo_loss
from bench.peers.protocol import Job

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class Minibatch(NamedTuple):
    """Rows of a rollout: obs (B, D), the others (B,)."""

    obs: Tensor
    actions: Tensor
    old_logprobs: Tensor
    old_values: Tensor
    advantages: Tensor
    returns: Tensor


class ActorCritic(nn.Module):
    """Shared layers (maybe none), then the policy's and the value's own (maybe none), then a head each.

    Args:
        obs_size, num_actions: of the environment.
        job: gives sizes and activation.
    """

    def __init__(self, obs_size: int, num_actions: int, job: Job):
        super().__init__()
        features = job.shared_sizes[-1] if job.shared_sizes else obs_size
        self.trunk = nn.Sequential(*_layers(obs_size, job.shared_sizes, job.activation))
        self.policy = _tower(features, job.policy_sizes, num_actions, 0.01, job.activation)
        self.value = _tower(features, job.value_sizes, 1, 1.0, job.activation)

    def forward(self, obs: Tensor) -> tuple[Categorical, Tensor]:
        """The distribution over actions, and the values, (B,)."""
        features = self.trunk(obs)
        return Categorical(logits=self.policy(features)), self.value(features).flatten()


def _linear(fan_in: int, width: int, gain: float) -> nn.Linear:
    layer = nn.Linear(fan_in, width)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _layers(fan_in: int, widths: tuple[int, ...], activation: str) -> list[nn.Module]:
    layers = []
    for width in widths:
        layers += [_linear(fan_in, width, 2**0.5), ACTIVATIONS[activation]()]
        fan_in = width
    return layers


def _tower(fan_in: int, widths: tuple[int, ...], outputs: int, gain: float, activation: str) -> nn.Sequential:
    head = _linear(widths[-1] if widths else fan_in, outputs, gain)
    return nn.Sequential(*_layers(fan_in, widths, activation), head)


def adam(network: ActorCritic, job: Job) -> torch.optim.Adam:
    """CleanRL's optimiser."""
    return torch.optim.Adam(network.parameters(), lr=job.learning_rate, eps=1e-5)


def optimize(network: ActorCritic, optimizer: torch.optim.Adam, rows: Minibatch, job: Job) -> float:
    """One minibatch: forward pass, loss, backward pass, clipping, Adam. The share of clipped ratios is returned."""
    pi, values = network(rows.obs)
    advantages = (rows.advantages - rows.advantages.mean()) / (rows.advantages.std() + 1e-8)
    given = pi.log_prob(rows.actions), pi.entropy(), values, rows.old_logprobs, rows.old_values, advantages
    terms = ppo_loss(*given, rows.returns, job.clip_coef, job.ent_coef, job.vf_coef, True)
    optimizer.zero_grad()
    terms[0].backward()
    nn.utils.clip_grad_norm_(network.parameters(), job.max_grad_norm)
    optimizer.step()
    return terms[-1].item()
