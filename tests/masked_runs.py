"""A small run with action masks, and the masks that belong to its observations."""

import numpy as np
import pytest

from ppo_np import PPO, PPOConfig

CONFIG = PPOConfig(
    env_id="ppo_np_test/Cards-v0", num_envs=4, num_steps=16, num_minibatches=2, update_epochs=2, total_timesteps=256,
    learning_rate=0.02, shared_sizes=(8,), ent_coef=0.05, action_mask="info:action_mask",
)  # fmt: skip
KINDS = {
    "Discrete": {},
    "truncated": {"end": "t"},
    "MultiDiscrete": {"sides": 3},
    "MultiDiscrete, truncated": {"sides": 2, "end": "t"},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def learned(config=CONFIG, env=None, **more):
    """Parameters and moments after a run, and the metrics of its updates; Cards raises if a mask is not respected."""
    ppo, rows = PPO(config, env, **more), []
    ppo.learn(lambda _, metrics: rows.append(metrics))
    ppo.close()
    return np.stack([ppo.policy.model.params, ppo.state.optimizer.m]), rows


def masks_of(obs, sides):
    """The masks that belong to observations of Cards, by its rules."""
    hand = obs[..., :5] > 0.5
    side = np.arange(sides) == hand.sum(axis=-1, keepdims=True) % sides
    return hand if sides == 1 else np.concatenate([hand, side], axis=-1)
