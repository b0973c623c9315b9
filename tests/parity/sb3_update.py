"""One update by Stable-Baselines3 itself: its buffer's advantages, its policy, its `PPO.train()`, all in float64.

SB3 is made for float32. Three settings widen it: torch's default dtype (its layers), `rollout_buffer_class` (its
buffer's arrays) and `features_extractor_class` (the observations, which it hands over as float32).
"""

from unittest.mock import patch

import gymnasium
import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from problem import ACTIONS, LAYERS, MINIBATCH, OBS_SIZE, SETTINGS, N, T
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

SAME_NAME = ("learning_rate", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm")
LOGGED = ("entropy_loss", "policy_gradient_loss", "value_loss", "approx_kl", "clip_fraction", "loss")


class Spaces(gymnasium.Env):
    """An environment for its spaces alone: SB3 asks for one, and `train` never steps it."""

    observation_space = spaces.Box(-np.inf, np.inf, (OBS_SIZE,), np.float64)
    action_space = spaces.Discrete(ACTIONS)


class Trunk(BaseFeaturesExtractor):
    """The shared layer."""

    def __init__(self, observation_space, width):
        super().__init__(observation_space, width)
        self.linear = nn.Linear(OBS_SIZE, width)

    def forward(self, obs):
        return torch.tanh(self.linear(obs.double()))


class Float64Buffer(RolloutBuffer):
    """SB3's rollout buffer with its float32 arrays widened; whatever is computed is computed by SB3."""

    def reset(self):
        super().reset()
        for name in ("rewards", "returns", "episode_starts", "values", "log_probs", "advantages"):
            setattr(self, name, getattr(self, name).astype(np.float64))


def make_ppo(parameters, clip_range_vf):
    """SB3's PPO with our settings and weights, and its parameters by our names."""
    ppo = stable_baselines3.PPO(
        "MlpPolicy", DummyVecEnv([Spaces] * N), n_steps=T, batch_size=MINIBATCH, n_epochs=SETTINGS["update_epochs"],
        clip_range=SETTINGS["clip_coef"], clip_range_vf=clip_range_vf, rollout_buffer_class=Float64Buffer, device="cpu",
        policy_kwargs={
            "features_extractor_class": Trunk, "features_extractor_kwargs": {"width": LAYERS["shared/0"][1]},
            "net_arch": {"pi": SETTINGS["policy_sizes"], "vf": SETTINGS["value_sizes"]}, "activation_fn": nn.Tanh,
        },
        **{name: SETTINGS[name] for name in SAME_NAME},
    )  # fmt: skip
    policy = ppo.policy
    layers = {
        "shared/0": policy.features_extractor.linear,
        "policy/0": policy.mlp_extractor.policy_net[0],
        "policy/head": policy.action_net,
        "value/0": policy.mlp_extractor.value_net[0],
        "value/head": policy.value_net,
    }
    theta = {f"{name}/{part}": getattr(layer, part) for name, layer in layers.items() for part in ("weight", "bias")}
    assert len(theta) == len(list(policy.parameters())), "SB3's policy has other layers than ours"
    for name, tensor in theta.items():
        tensor.data[:] = torch.tensor(parameters[name].T)
    ppo.set_logger(Logger(None, []))
    return ppo, theta


def fill(buffer, rollout):
    """Put the rollout into SB3's buffer as its `collect_rollouts` does, and let it compute the advantages.

    A truncated transition's reward gets gamma V(final observation) on top: that is SB3's way to bootstrap.
    """
    done = rollout["terminations"] | rollout["truncations"]
    truncated = rollout["truncations"] & ~rollout["terminations"]
    rewards = rollout["rewards"] + SETTINGS["gamma"] * np.where(truncated, rollout["final_values"], 0)
    starts = np.vstack([np.ones((1, N)), done[:-1]])
    buffer.reset()
    for t in range(T):
        value, logprob = torch.tensor(rollout["values"][t]), torch.tensor(rollout["logprobs"][t])
        buffer.add(rollout["obs"][t], rollout["actions"][t], rewards[t], starts[t], value, logprob)
    buffer.compute_returns_and_advantage(torch.tensor(rollout["values"][T]), done[T - 1])


def sb3_update(problem, clip_range_vf):
    """Run `train` once. Only the permutations are put into its hands, and the gradient norms overheard.

    Returns:
        The results by name; `theta` and `optimizer` still in torch.
    """
    ppo, theta = make_ppo(problem["parameters"], clip_range_vf)
    buffer = ppo.rollout_buffer
    fill(buffer, problem["rollout"])
    advantages, returns = buffer.advantages.copy(), buffer.returns.copy()
    # Our row t N + n is row n T + t of SB3's flattened buffer.
    t, n = np.divmod(problem["permutations"], N)
    norms, clip = [], nn.utils.clip_grad_norm_

    def overheard(*arguments):
        norms.append(clip(*arguments).item())

    with (
        patch("numpy.random.permutation", side_effect=list(n * T + t)),
        patch("torch.nn.utils.clip_grad_norm_", overheard),
    ):
        ppo.train()
    log = ppo.logger.name_to_value
    logged = {name: float(log[f"train/{name}"]) for name in LOGGED}
    results = {"advantages": advantages, "returns": returns, "logged": logged, "grad_norm": norms}
    return results, theta, ppo.policy.optimizer
