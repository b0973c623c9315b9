"""What PPO refuses, in one sentence that shows what is right."""

import dataclasses
import re

import gymnasium
import pytest
import sample_environments
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np import PPO, PPOConfig, UserError

SMALL = PPOConfig(env_id="CartPole-v1", num_envs=2, num_steps=16, shared_sizes=(8,))


def test_a_single_environment_is_refused():
    env = gymnasium.make("CartPole-v1")
    with pytest.raises(
        UserError, match=r"^env is <.*, but it must be an id, a function that makes a gymnasium.Env, or"
    ):
        PPO(SMALL, env)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: PPO("CartPole-v1", "CartPole-v1"),
            "config is 'CartPole-v1', but it must be a PPOConfig, or an environment alone, as in PPO(",
        ),
        (lambda: PPO("MlpPolicy", "CartPole-v1"), "config is 'MlpPolicy', but it must be a PPOConfig, or an"),
        (lambda: PPO({"seed": 3}), "config is {'seed': 3}, but it must be a PPOConfig, or an environment"),
        (lambda: PPO(PPOConfig), "config is <class 'ppo_np.config.PPOConfig'>, but it must be a PPOConfig, or"),
        (lambda: PPO(SMALL, 3), "env is 3, but it must be an id, a function that makes a gymnasium.Env, or a Vector"),
        (lambda: PPO(SMALL, resume="a.h5"), "resume is 'a.h5', but it must be a Checkpoint; PPO.load reads a file."),
        (lambda: PPO(SMALL, video="films"), "video is 'films', but it must be a VideoOptions."),
        (lambda: PPO(SMALL, ranks=2), "ranks is 2, but it must be what ppo_np.distributed.mpi.world() returns."),
        (
            lambda: PPO(SMALL).learn(10_000),
            "callback is 10000, but it must be a function or a list of functions; config.",
        ),
    ],
)
def test_a_wrong_argument_is_refused_and_the_right_call_shown(call, sentence):
    with pytest.raises(UserError, match="^" + re.escape(sentence)):
        call()


def test_a_function_that_gives_one_and_the_same_environment_is_refused():
    env = sample_environments.Guess()
    with pytest.raises(UserError, match="^env makes the same object again and again, but each call must make another"):
        PPO(SMALL, lambda: env)


def test_the_number_of_a_ready_vector_env_must_suit_the_minibatches():
    envs = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 3, autoreset_mode=AutoresetMode.SAME_STEP)
    with pytest.raises(
        UserError, match=r"^num_minibatches is 4, but it must be a divisor of num_envs \* num_steps = 3"
    ):
        PPO(dataclasses.replace(SMALL, num_envs=4, num_steps=1), envs)
