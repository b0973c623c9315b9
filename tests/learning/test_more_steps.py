"""`learn(more_steps=N)`: so many steps more, and what schedules make of it."""

import numpy as np
import pytest

from ppo_np import PPO, PPOConfig, UserError

CONFIG = {"env_id": "CartPole-v1", "num_envs": 2, "num_steps": 16, "shared_sizes": (8,), "total_timesteps": 96}


def test_without_schedules_two_calls_are_one_run_of_all_steps():
    whole = PPO(PPOConfig(**CONFIG | {"total_timesteps": 160}, anneal_lr=False)).learn()
    ppo = PPO(PPOConfig(**CONFIG, anneal_lr=False)).learn().learn(more_steps=64)
    assert (ppo.global_step, ppo.config.total_timesteps) == (160, 160)
    np.testing.assert_array_equal(ppo.policy.model.params, whole.policy.model.params)


def test_schedules_look_at_the_whole_run():
    rates = []
    ppo = PPO(PPOConfig(**CONFIG, learning_rate=3e-4))
    ppo.learn(lambda _, metrics: rates.append(metrics.learning_rate))
    ppo.learn(lambda _, metrics: rates.append(metrics.learning_rate), more_steps=np.int64(96))
    assert rates == pytest.approx([3e-4, 2e-4, 1e-4, 1.5e-4, 1e-4, 0.5e-4])


def test_fewer_steps_than_the_settings_say_are_possible():
    assert PPO(PPOConfig(**CONFIG)).learn(more_steps=1).global_step == 32


@pytest.mark.parametrize("given", [0, -5, 1.5, True, "64"])
def test_other_numbers_are_refused(given):
    ppo = PPO(PPOConfig(**CONFIG))
    with pytest.raises(UserError, match="more_steps is .*, but it must be an integer >= 1"):
        ppo.learn(more_steps=given)
    assert (ppo.global_step, ppo.config.total_timesteps) == (0, 96)
