"""Environments so small that the right values and the right policy are known; each isolates one part of learning."""

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

from ppo_np import PPO, PPOConfig

GAMMA = 0.5
NUM_ENVS = 32


class Probe(gymnasium.Env):
    """Observation: one number. By default one action, and episodes of one step with the reward 1."""

    metadata = {"render_modes": []}
    observation_space = spaces.Box(-2, 2, (1,), np.float32)
    action_space = spaces.Discrete(1)
    length = 1

    def draw(self):
        """The first observation of an episode."""
        return 0.0

    def reward(self, action):
        """Reward of an episode's last step; those before give 0."""
        return 1.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.obs, self.count = self.draw(), 0
        return np.float32([self.obs]), {}

    def step(self, action):
        self.count += 1
        done = self.count == self.length
        reward = float(self.reward(action)) if done else 0.0
        return np.float32([self.obs + self.count]), reward, done, False, {}


class Endless(Probe):
    """The reward 1 for ever, under a time limit of one step: V = 1 + gamma V, which is 1 / (1 - gamma)."""

    def step(self, action):
        return np.float32([self.obs]), 1.0, False, True, {}


class Constant(Probe):
    """V = 1."""


class Sign(Probe):
    """The reward is the observation: V(obs) = obs."""

    def draw(self):
        return float(self.np_random.choice([-1, 1]))

    def reward(self, action):
        return self.obs


class Delay(Probe):
    """Two steps, the reward at the end: V(0) = gamma, V(1) = 1."""

    length = 2


class Choice(Probe):
    """Action 1 is right."""

    action_space = spaces.Discrete(2)

    def reward(self, action):
        return 1 if action == 1 else -1


class Agree(Sign):
    """The action has to agree with the observation's sign: V = 1."""

    action_space = spaces.Discrete(2)

    def reward(self, action):
        return 1 if (action == 1) == (self.obs > 0) else -1


class Aim(Sign):
    """The best action is half the observation."""

    action_space = spaces.Box(-2, 2, (1,), np.float32)

    def reward(self, action):
        return -((action[0] - 0.5 * self.obs) ** 2)


def train(probe, mode, seed, num_steps=2, updates=40, **settings):
    """A short training on the probe; its environments are reset as `mode` says."""
    config = PPOConfig(
        num_envs=NUM_ENVS, num_steps=num_steps, num_minibatches=1, update_epochs=4, learning_rate=0.03, gamma=GAMMA,
        total_timesteps=updates * NUM_ENVS * num_steps, ent_coef=0.0, shared_sizes=(), policy_sizes=(),
        value_sizes=(16,), activation="tanh", seed=seed, **settings,
    )  # fmt: skip
    env = probe if mode == "same" else SyncVectorEnv([probe] * NUM_ENVS)
    trained = PPO(config, env).learn()
    trained.close()
    return trained


def outputs(trained, *observations):
    """The policy head's outputs, (B, K), and the values, (B,), for single numbers."""
    inputs, activations = trained.policy.workspace(len(observations))
    inputs[:, 0] = observations
    trained.policy.model.forward(inputs, activations)
    return activations.policy_outputs, activations.values


def probabilities(trained, *observations):
    """Of the actions, (B, K)."""
    logits = outputs(trained, *observations)[0].astype(float)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
