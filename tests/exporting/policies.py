"""Policies of every kind with random weights and biases, as `export` takes them."""

from dataclasses import replace
from functools import cache

import numpy as np
import sample_environments  # noqa: F401  registers the test environments
from gymnasium import spaces

from ppo_np import PPO, PPOConfig
from ppo_np.exporting.export import Source
from ppo_np.learning.policy import Policy

TOWERS = PPOConfig(shared_sizes=(), policy_sizes=(16, 16), value_sizes=(16,), activation="tanh", num_envs=4)
ARTICLE = replace(TOWERS, shared_sizes=(16, 16), policy_sizes=(), value_sizes=(), activation="relu")
MASKS = replace(TOWERS, action_mask="info:action_mask", env_id="ppo_np_test/Cards-v0")
PENDULUM = replace(TOWERS, env_id="Pendulum-v1")

# Those of an environment come from a checkpoint of a run on it.
OF_ENVIRONMENTS = {
    "CartPole": replace(ARTICLE, env_id="CartPole-v1"),
    "LunarLander": replace(ARTICLE, env_id="LunarLander-v3", activation="tanh", policy_sizes=(8,)),
    "normalised": replace(TOWERS, env_id="LunarLander-v3", norm_obs=True),
    "gaussian": PENDULUM,
    "state log_std": replace(PENDULUM, log_std="state", shared_sizes=(8,)),
    "squashed": replace(PENDULUM, action_distribution="squashed", activation="relu"),
    "squashed, state log_std": replace(PENDULUM, action_distribution="squashed", log_std="state"),
    "beta": replace(PENDULUM, action_distribution="beta"),
    "rescaled": replace(PENDULUM, rescale_actions=True, norm_obs=True),
    "masked": MASKS,
    "masked MultiDiscrete": replace(MASKS, env_kwargs={"sides": 3}),
    "image": replace(TOWERS, env_id="ppo_np_test/Picture-v0", norm_obs=True, action_distribution="beta"),
}
PARTS = spaces.Dict(
    picture=spaces.Box(0, 255, (2, 3), np.uint8), number=spaces.Discrete(3, start=5), wide=spaces.Box(-np.inf, np.inf)
)
OF_SPACES = {
    "Dict, MultiBinary": (PARTS, spaces.MultiBinary((2, 2)), TOWERS),
    "uint8": (spaces.Box(0, 255, (4, 2), np.uint8), spaces.MultiDiscrete([3, 2], start=[-4, 7]), TOWERS),
    "no layers": (spaces.Discrete(6), spaces.Discrete(3, start=10), replace(ARTICLE, shared_sizes=())),
    "wide Box": (
        spaces.Box(-1, 1, (2,)),
        spaces.Box(np.array([0, -np.inf]), np.array([1000, 2.0]), dtype=np.float64),
        TOWERS,
    ),
    "equal choices": (spaces.Box(-1, 1, (2,)), spaces.Discrete(3), TOWERS),
    "alpha and beta near 1": (spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1), replace(TOWERS, action_distribution="beta")),
    "small numbers": (spaces.Box(-1, 1, (4, 4), np.int8), spaces.Discrete(2), ARTICLE),
}
NAMES = [*OF_ENVIRONMENTS, *OF_SPACES]


def disturb(policy, seed=1):
    """Give a policy biases, distinct actions, and statistics of observations with a large mean."""
    rng = np.random.default_rng(seed)
    for name, tensor in policy.model.named(policy.model.params).items():
        tensor += rng.normal(0, 1 if name == "policy/head/weight" else 0.3, tensor.shape)
    if policy.obs_moments:
        moments = policy.obs_moments
        moments.count[:] = 100
        if policy.obs_dtype == np.uint8:
            moments.mean[:], moments.variance[:] = rng.random((2, len(moments.mean)))
        else:
            moments.mean[:] = rng.normal(0, 5, moments.mean.shape)
            moments.mean[-1] = 1e5 + 1 / 3
            moments.variance[:] = rng.uniform(0.1, 9, moments.variance.shape)
            moments.variance[0] = 1e-8  # as MOMENTS_EPS


def save(config, path):
    """Write a checkpoint of a run with such a policy."""
    ppo = PPO(config)
    disturb(ppo.policy)
    ppo.save(path)
    ppo.close()
    return path


@cache
def of_spaces(name):
    """Such a policy for spaces without an environment."""
    observations, actions, config = OF_SPACES[name]
    policy = Policy(observations, actions, config, np.random.default_rng(0))
    disturb(policy)
    tensors = policy.model.named(policy.model.params)
    if name == "equal choices":
        weight, bias = tensors["policy/head/weight"], tensors["policy/head/bias"]
        weight[:, 1], weight[:, 2], bias[:] = -weight[:, 0], weight[:, 0], 0
    elif name == "alpha and beta near 1":
        tensors["policy/head/bias"] -= 14
    return Source(policy, np.zeros((0, policy.observations.size), np.float32))
