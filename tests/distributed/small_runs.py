"""Small runs that any number of ranks must do alike, and what of them is compared."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple
from functools import partial
from unittest import mock

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np import PPO, PPOConfig
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.environments.spaces import ObservationAdapter
from ppo_np.learning.metrics import METRICS_COLUMNS
from ppo_np.network.model import ActorCritic

UPDATES = 5
BASE = {
    "seed": 3, "num_envs": 4, "num_steps": 16, "num_minibatches": 4, "update_epochs": 3, "learning_rate": 0.01,
    "shared_sizes": (), "policy_sizes": (16, 8), "value_sizes": (16,), "activation": "tanh", "ent_coef": 0.02,
}  # fmt: skip
SHARED = {"shared_sizes": (16,), "policy_sizes": (), "value_sizes": (8,), "activation": "relu"}
SHAPED = {"obs_grayscale": True, "frame_stack": 2, "rescale_actions": True}
NORMALIZED = {"norm_obs": True, "norm_reward": True}


class Actions(gymnasium.Env):
    """Noise to look at, episodes of random lengths that end either way, rewards that depend on the action."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def __init__(self, action_space):
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(1, 12))
        return self._obs(), {}

    def step(self, action):
        self.left -= 1
        ends = self.left == 0
        truncated = ends and self.np_random.random() < 0.5
        reward = float(np.sum(np.asarray(action, float))) * self.np_random.random()
        return self._obs(), reward, ends and not truncated, truncated, {}

    def _obs(self):
        return self.np_random.standard_normal(3).astype(np.float32)


class Pictures(Actions):
    """Noise in three colours."""

    observation_space = gymnasium.spaces.Box(0, 255, (2, 3, 3), np.uint8)

    def _obs(self):
        return self.np_random.integers(0, 256, (2, 3, 3), dtype=np.uint8)


class Masked(Actions):
    """Random masks, which are obeyed."""

    def reset(self, *, seed=None, options=None):
        obs, _ = super().reset(seed=seed)
        return obs, self._masks()

    def step(self, action):
        chosen = np.reshape(action, -1) + np.cumsum(self.sizes) - self.sizes
        assert self.mask[chosen].all()
        *results, _ = super().step(action)
        return *results, self._masks()

    def _masks(self):
        self.sizes = np.reshape(getattr(self.action_space, "nvec", getattr(self.action_space, "n", 0)), -1)
        masks = [self.np_random.random(size) < 0.5 for size in self.sizes]
        for mask in masks:
            mask[self.np_random.integers(len(mask))] = True
        self.mask = np.concatenate(masks)
        return {"action_mask": self.mask}


def masked() -> gymnasium.Env:
    return Masked(gymnasium.spaces.Discrete(4))


def masked_multi() -> gymnasium.Env:
    return Masked(gymnasium.spaces.MultiDiscrete([3, 4]))


def discrete() -> gymnasium.Env:
    return Actions(gymnasium.spaces.Discrete(3))


def multi_discrete() -> gymnasium.Env:
    return Actions(gymnasium.spaces.MultiDiscrete([3, 2]))


def multi_binary() -> gymnasium.Env:
    return Actions(gymnasium.spaces.MultiBinary(3))


def box() -> gymnasium.Env:
    return Actions(gymnasium.spaces.Box(-1, 1, (2,), np.float32))


def pictures() -> gymnasium.Env:
    return Pictures(gymnasium.spaces.Box(0, 20, (2,), np.float32))


RUNS = {
    "Discrete, separate": (discrete, {}),
    "Discrete, shared, normalised": (discrete, SHARED | NORMALIZED),
    "Discrete, target_kl": (discrete, {"target_kl": 0.01, "update_epochs": 8}),
    "Discrete, minibatches of few rows": (discrete, {"num_minibatches": 32, "update_epochs": 1}),
    "Discrete, minibatches of one row": (discrete, {"num_minibatches": 64, "update_epochs": 1}),
    "Discrete, advantages as they are": (discrete, {"norm_adv": False}),
    "Discrete, blocks": (discrete, {"num_steps": 600, "num_minibatches": 1, "threads": 2, "update_epochs": 2}),
    "Discrete, NEXT_STEP": (discrete, NORMALIZED),
    "MultiDiscrete": (multi_discrete, SHARED),
    "Discrete, masks": (masked, {"action_mask": "info:action_mask"}),
    "MultiDiscrete, masks, NEXT_STEP": (masked_multi, SHARED | {"action_mask": "info:action_mask"}),
    "MultiBinary": (multi_binary, NORMALIZED),
    "Box, shared": (box, SHARED),
    "Box, adaptive learning rate, the value apart": (
        box, SHARED | {
            "kl_adaptive_lr": 0.005, "value_learning_rate": 0.02, "value_clip_coef": 0.1, "max_grad_norm_value": 0.2,
            "clip_coef_schedule": "exponential", "ent_coef_schedule": lambda left: 0.02 * left**2,
        },
    ),
    "Box, squashed": (box, SHARED | {"action_distribution": "squashed", "log_std": "state"}),
    "Box, Beta": (box, {"action_distribution": "beta"}),
    "Box, separate, normalised, annealed": (
        box, NORMALIZED | {"anneal_clip_coef": True, "anneal_ent_coef": True, "target_kl": 0.02},
    ),
    "Box, stacked images": (pictures, NORMALIZED | SHAPED),
    "Box, stacked images, NEXT_STEP": (pictures, SHARED | SHAPED),
}  # fmt: skip
COMPARED = tuple(
    METRICS_COLUMNS.index(name) for name in METRICS_COLUMNS if "time" not in name and name not in ("SPS", "update")
)


def config_of(name: str) -> PPOConfig:
    settings = BASE | RUNS[name][1]
    return PPOConfig(total_timesteps=UPDATES * settings["num_envs"] * settings["num_steps"], **settings)


@contextmanager
def conditions(name: str, dtype) -> Iterator[None]:
    """Let networks, and observations as they come, be of this type, and environments reset as the run wants it.

    It patches what is global: threads are to be inside of it together.
    """
    original = ObservationAdapter.__init__

    def wider(self, space):
        original(self, space)
        self.dtype = dtype if self.dtype == np.float32 else self.dtype

    with ExitStack() as patches:
        patches.enter_context(mock.patch("ppo_np.learning.policy.ActorCritic", partial(ActorCritic, dtype=dtype)))
        patches.enter_context(mock.patch.object(ObservationAdapter, "__init__", wider))
        if name.endswith("NEXT_STEP"):
            patches.enter_context(mock.patch("ppo_np.environments.make.SerialEnvs", NextStepEnvs))
        yield


class NextStepEnvs(SyncVectorEnv):
    def __init__(self, factories):
        super().__init__(factories, autoreset_mode=AutoresetMode.NEXT_STEP)


def train(name: str, ranks: Ranks = ALONE) -> dict[str, np.ndarray]:
    """Do the run `name`, under its conditions, and return what it has come to, its updates' metrics included."""
    rows = []
    ppo = PPO(config_of(name), RUNS[name][0], ranks=ranks)
    ppo.learn(lambda _, metrics: rows.append(np.array(astuple(metrics))[list(COMPARED)]))
    moments = [n.arrays() for n in (ppo.policy.obs_moments, ppo.reward_scaler and ppo.reward_scaler.moments) if n]
    result = {
        "params": ppo.policy.model.params.copy(),
        "m": ppo.state.optimizer.m.copy(),
        "v": ppo.state.optimizer.v.copy(),
        "metrics": np.array(rows),
        "episodes": np.array(ppo.recent_episodes, float),
        "adam_step": np.array([ppo.state.optimizer.steps]),
        "moments": np.concatenate([array for arrays in moments for array in arrays.values()] or [np.zeros(0)]),
    }
    ppo.close()
    return result


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest |one - other| / |other| of the columns, as vectors; NaN must stand where NaN stands.

    Of a table, |other| counts as 1 at least: metrics are means of numbers of that size, which may cancel (policy_loss
    is nearly 0 where advantages are normalised), so that rounding is relative to those.
    """
    if one.shape != other.shape or not np.array_equal(np.isnan(one), np.isnan(other)):
        return np.inf
    one, other = np.nan_to_num(np.float64(one)), np.nan_to_num(np.float64(other))
    apart, size = np.linalg.norm(one - other, axis=0), np.linalg.norm(other, axis=0)
    return float(np.max(apart / np.maximum(size, 1 if one.ndim > 1 else 1e-12), initial=0))
