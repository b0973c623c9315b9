"""A rollout without training: environments, a linear network that is known exactly, a buffer."""

import numpy as np
from oracle import GAMMA, LAMBDA, VALUE_BIAS, VALUE_WEIGHTS

from ppo_np.config import PPOConfig
from ppo_np.environments.stream import EnvStream
from ppo_np.learning.policy import Policy
from ppo_np.learning.rollout import RolloutBuffer, collect


class Rig:
    """Collects rollouts; by default V is the oracle's, and every action is equally probable.

    Args:
        envs: are closed at the end of a `with`.
        num_steps: T.
        weights, bias: of V.
        seed: of the environments.
        settings: of PPOConfig.
    """

    def __init__(self, envs, num_steps, weights=VALUE_WEIGHTS, bias=VALUE_BIAS, seed=0, **settings):
        self.envs = envs
        config = PPOConfig(
            num_envs=envs.num_envs, num_steps=num_steps, num_minibatches=1, shared_sizes=(), **settings
        )  # fmt: skip
        self.policy = Policy(envs.single_observation_space, envs.single_action_space, config, np.random.default_rng(0))
        self.tensors = self.policy.model.named(self.policy.model.params)
        self.tensors["policy/head/weight"][:] = 0
        self.tensors["value/head/weight"][:, 0] = weights
        self.tensors["value/head/bias"][:] = bias
        self.stream = EnvStream(envs).reset(seed=seed)
        self.workspace = self.policy.workspace(envs.num_envs)
        self.buffer = RolloutBuffer(num_steps, envs.num_envs, self.policy)
        for array in (self.buffer.final_values, self.buffer.advantages, self.buffer.returns):
            array[:] = np.nan
        self.rng = np.random.default_rng(1)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.envs.close()

    def always_choose(self, choice):
        """Make one choice certain."""
        bias = self.tensors["policy/head/bias"]
        bias[:] = -50
        bias[choice] = 50

    def collect(self):
        """One rollout with its advantages; the report."""
        report = collect(self.stream, self.policy, self.workspace, self.buffer, self.rng, stopped=lambda: False)
        self.buffer.compute_advantages(GAMMA, LAMBDA)
        return report
