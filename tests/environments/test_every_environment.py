"""Every environment of classic control, Box2D and toy text can be trained on as it comes, without a warning of ours."""

import warnings

import gymnasium
import numpy as np
import pytest

from ppo_np import PPO, PPOConfig

FAMILIES = ("classic_control", "box2d", "toy_text")
ENVIRONMENTS = sorted(
    env_id for env_id, spec in gymnasium.registry.items()
    if str(spec.entry_point).startswith(tuple(f"gymnasium.envs.{family}" for family in FAMILIES))
)  # fmt: skip
QUICK = [env_id for env_id in ENVIRONMENTS if env_id != "CarRacing-v3"]


def train(env_id, total_timesteps):
    """Train with what all presets share; return the finished PPO and its metrics."""
    rows = []
    config = PPOConfig(
        env_id=env_id, total_timesteps=total_timesteps, shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64),
        activation="tanh",
    )  # fmt: skip
    with warnings.catch_warnings():
        # CartPole-v0 is outdated, and Gymnasium says so.
        warnings.filterwarnings("ignore", message=".*is out of date.*")
        ppo = PPO(config)
    ppo.learn(lambda _, metrics: rows.append(metrics))
    ppo.close()
    return ppo, rows


def test_the_list_is_whole():
    names = {"Acrobot", "CartPole", "Pendulum", "LunarLander", "CarRacing", "BipedalWalker", "Blackjack", "Taxi"}
    assert names <= {env_id.split("-")[0] for env_id in ENVIRONMENTS}


@pytest.mark.parametrize("env_id", QUICK)
def test_one_update(env_id):
    ppo, (metrics,) = train(env_id, 512)
    assert ppo.global_step == 512
    assert np.isfinite(ppo.policy.model.params).all()
    assert np.isfinite([metrics.policy_loss, metrics.value_loss, metrics.entropy, metrics.grad_norm]).all()


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_ten_thousand_steps(env_id):
    ppo, rows = train(env_id, 10_000)
    assert ppo.global_step >= 10_000
    assert np.isfinite(ppo.policy.model.params).all()
    assert all(np.isfinite(row.value_loss) for row in rows)
