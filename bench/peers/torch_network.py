"""An actor-critic in torch and one step of its optimiser, with CleanRL's losses; in our own words."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

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
        shared = [obs_size, *job.shared_sizes]
        self.trunk = nn.Sequential(*_layers(shared, job.activation))
        self.policy = _tower([shared[-1], *job.policy_sizes], num_actions, 0.01, job.activation)
        self.value = _tower([shared[-1], *job.value_sizes], 1, 1.0, job.activation)

    def forward(self, obs: Tensor) -> tuple[Categorical, Tensor]:
        """The distribution over actions, and the values, (B,)."""
        features = self.trunk(obs)
        return Categorical(logits=self.policy(features)), self.value(features).flatten()


def _linear(fan_in: int, width: int, gain: float) -> nn.Linear:
    layer = nn.Linear(fan_in, width)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _layers(widths: list[int], activation: str) -> list[nn.Module]:
    return [part for i, o in pairwise(widths) for part in (_linear(i, o, 2**0.5), ACTIVATIONS[activation]())]


def _tower(widths: list[int], outputs: int, gain: float, activation: str) -> nn.Sequential:
    return nn.Sequential(*_layers(widths, activation), _linear(widths[-1], outputs, gain))


def adam(network: ActorCritic, job: Job) -> torch.optim.Adam:
    """CleanRL's optimiser."""
    return torch.optim.Adam(network.parameters(), lr=job.learning_rate, eps=1e-5)


def optimize(network: ActorCritic, optimizer: torch.optim.Adam, minibatch: Minibatch, job: Job) -> float:
    """One minibatch: forward pass, loss, backward pass, clipping, Adam. The share of clipped ratios is returned."""
    pi, values = network(minibatch.obs)
    log_ratio = pi.log_prob(minibatch.actions) - minibatch.old_logprobs
    ratio = log_ratio.exp()
    with torch.no_grad():
        ((ratio - 1) - log_ratio).mean()  # the KL that CleanRL looks at
        clipfrac = ((ratio - 1).abs() > job.clip_coef).float().mean().item()
    advantages = minibatch.advantages
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    clipped_ratio = ratio.clamp(1 - job.clip_coef, 1 + job.clip_coef)
    policy_loss = -torch.min(advantages * ratio, advantages * clipped_ratio).mean()
    moved = (values - minibatch.old_values).clamp(-job.clip_coef, job.clip_coef)
    errors = (values - minibatch.returns) ** 2
    clipped_errors = (minibatch.old_values + moved - minibatch.returns) ** 2
    value_loss = 0.5 * torch.max(errors, clipped_errors).mean()
    loss = policy_loss - job.ent_coef * pi.entropy().mean() + job.vf_coef * value_loss
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), job.max_grad_norm)
    optimizer.step()
    return clipfrac
