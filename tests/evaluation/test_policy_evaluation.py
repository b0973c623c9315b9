"""Evaluating a policy in several environments at once: which episodes count, and the confidence interval."""

import dataclasses
from contextlib import closing

import gymnasium
import numpy as np
import pytest
import sample_environments
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from scipy import stats

from ppo_np import PPO, EnvironmentFault, PPOConfig, UserError, evaluate_policy
from ppo_np.environments.examples.cartpole import CartPole
from ppo_np.evaluation import episodes as episodes_module
from ppo_np.evaluation import policy_evaluation
from ppo_np.evaluation.policy_evaluation import Evaluation
from ppo_np.learning.policy import Policy


def zeros(obs):
    return np.zeros(len(obs), np.int64)


class Chance(gymnasium.Env):
    """Episodes of 1 step or of 30, each with reward 1 a step."""

    observation_space, action_space = spaces.Box(-1, 1, (2,)), spaces.Discrete(2)

    def __init__(self, render_mode=None):
        pass

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 30 if self.np_random.random() < 0.5 else 1
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(2, np.float32), 1.0, self.left == 0, False, {}


def first_episodes(seed, count):
    """Lengths of the first episodes of an environment that was reset once with this seed."""
    env, lengths = Chance(), []
    for number in range(count):
        env.reset(seed=None if number else seed)
        lengths.append(env.left)
    return lengths


@pytest.mark.parametrize("mode", [None, AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("episodes", [2, 3, 8, 11])
def test_each_environment_plays_its_first_episodes(episodes, mode):
    env = Chance if mode is None else SyncVectorEnv([Chance] * 3, autoreset_mode=mode)
    found = evaluate_policy(zeros, env, episodes, seed=5, num_envs=3)
    by_env = [first_episodes(5 + n, 4) for n in range(3)]
    envs = min(3, episodes) if mode is None else 3
    expected = [by_env[e % envs][e // envs] for e in range(episodes)]
    assert found.lengths.tolist() == expected
    assert found.returns.tolist() == expected
    assert len(set(expected)) == 2 or episodes < 8


def test_short_episodes_do_not_count_more():
    """Of episodes of 1 and 30 steps, as many each; the first 400 that end would be mostly short."""
    found = evaluate_policy(zeros, Chance, 400, num_envs=100)
    assert abs((found.lengths == 1).mean() - 0.5) < 0.1
    low, high = found.interval
    assert low < 15.5 < high


def test_the_interval_is_students():
    found = Evaluation(np.array([3.0, 5.0, 10.0, 4.0]), np.array([1, 2, 3, 4]))
    expected = stats.t.interval(0.95, 3, found.returns.mean(), stats.sem(found.returns))
    np.testing.assert_allclose(found.interval, expected)
    assert (found.mean_return, found.mean_length) == (5.5, 2.5)
    text = f"4 episodes: mean return 5.50 (95 % confidence interval {expected[0]:.2f} to {expected[1]:.2f}, t)"
    assert str(found) == f"{text}, mean length 2.5"
    assert np.isnan(Evaluation(np.array([3.0]), np.array([1])).interval).all()


def cartpole_policy(**settings):
    policy = Policy(
        spaces.Box(-9, 9, (4,)), spaces.Discrete(2), PPOConfig(shared_sizes=(8,), **settings), np.random.default_rng(0)
    )
    policy.model.params[:] = np.random.default_rng(1).standard_normal(policy.model.params.size) / 2
    return policy


def test_the_same_in_compiled_environments_by_id_and_by_function():
    policy = cartpole_policy()
    makers = "CartPole-v1", lambda: gymnasium.make("CartPole-v1"), CartPole
    found = [evaluate_policy(policy, env, 7, seed=3, num_envs=3) for env in makers]
    for one in found[1:]:
        assert np.array_equal(one.returns, found[0].returns)
    assert len(set(found[0].lengths)) > 1


def test_drawn_actions_repeat_with_the_seed():
    policy = cartpole_policy()
    first, second = (evaluate_policy(policy, "CartPole-v1", 6, deterministic=False).returns for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(evaluate_policy(policy, "CartPole-v1", 6).returns, first)


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("sides", [1, 3])
def test_masks_are_respected(sides, deterministic):
    env = sample_environments.Cards(sides)
    config = PPOConfig(shared_sizes=(8,), action_mask="info:action_mask", env_kwargs={"sides": sides})
    policy = Policy(env.observation_space, env.action_space, config, np.random.default_rng(0))
    found = evaluate_policy(policy, "ppo_np_test/Cards-v0", 30, num_envs=4, deterministic=deterministic)
    assert len(found.returns) == 30
    assert 0 < found.mean_return < 1
    infos = SyncVectorEnv([lambda: sample_environments.Cards(sides)] * 2)
    assert len(evaluate_policy(policy, infos, 5, deterministic=deterministic).returns) == 5


def test_the_environment_is_that_of_the_training():
    config = PPOConfig(
        env_id="ppo_np_test/Counting-v0", num_envs=2, num_steps=4, num_minibatches=1, total_timesteps=8,
        shared_sizes=(4,), frame_stack=2, max_episode_steps=6, env_kwargs={"lengths": (50,)}, norm_obs=True,
    )  # fmt: skip
    with closing(PPO(config).learn()) as ppo:
        before = {name: array.copy() for name, array in ppo.policy.obs_moments.arrays().items()}
        assert evaluate_policy(ppo, "ppo_np_test/Counting-v0", 3).lengths.tolist() == [6, 6, 6]
        assert evaluate_policy(ppo, sample_environments.Counting, 3, max_episode_steps=5).lengths.tolist() == [5] * 3
        kwargs = {"lengths": (3,)}
        assert evaluate_policy(ppo.policy, sample_environments.Counting, 2, env_kwargs=kwargs).mean_length == 3
        np.testing.assert_equal(ppo.policy.obs_moments.arrays(), before)


def test_episodes_end_at_the_latest_after_the_limit(monkeypatch):
    for module in (episodes_module, policy_evaluation):
        monkeypatch.setattr(module, "DEFAULT_MAX_STEPS", 20)
    endless = {"lengths": (10**9,)}
    for env in ("ppo_np_test/Counting-v0", sample_environments.Counting):
        assert evaluate_policy(zeros, env, 2, env_kwargs=endless).lengths.tolist() == [20, 20]
        assert evaluate_policy(zeros, env, 2, env_kwargs=endless, max_episode_steps=25).lengths.tolist() == [25, 25]


def test_a_vector_environment_stays_open_and_ours_are_closed(monkeypatch):
    closed = []
    monkeypatch.setattr(Chance, "close", lambda self: closed.append(self))
    envs = SyncVectorEnv([Chance] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    evaluate_policy(zeros, envs, 2)
    assert closed == []
    evaluate_policy(zeros, Chance, 3)
    assert len(set(closed)) == 4  # one was made to see its spaces
    with pytest.raises(UserError, match=r"^max_episode_steps is 5, but it must be None with a VectorEnv"):
        evaluate_policy(zeros, envs, 2, max_episode_steps=5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"policy": 3}, "policy is 3, but it must be a Policy, a PPO, or a function"),
        ({"env": None}, "env is None, but it must be an id, a function"),
        ({"env": Chance()}, "env is <.*Chance.*>, but it must be an id, a function"),
        ({"env": "Nowhere-v0"}, "env_id is 'Nowhere-v0', but no such environment can be made"),
        ({"env": "Acrobot-v1"}, "env has observations in Box.*, but the policy was trained with Box"),
        ({"episodes": 0}, "episodes is 0, but it must be an integer >= 1"),
        ({"episodes": 2.5}, "episodes is 2.5, but it must be an integer >= 1"),
        ({"num_envs": 0}, "num_envs is 0, but it must be an integer >= 1"),
        ({"seed": -1}, "seed is -1, but it must be a number >= 0"),
        ({"vectorization": "fast"}, "vectorization is 'fast', but it must be 'sync' or 'async'"),
        ({"max_episode_steps": -1}, "max_episode_steps is -1, but it must be an integer >= 1"),
    ],
)
def test_wrong_arguments(changed, message):
    arguments = {"policy": cartpole_policy(), "env": "CartPole-v1", "episodes": 2} | changed
    with pytest.raises(UserError, match=f"^{message}"):
        evaluate_policy(**arguments)


def test_faults(monkeypatch):
    broken = sample_environments.Counting
    monkeypatch.setattr(broken, "_obs", lambda self: np.full(2, np.nan if self.count == 2 else 0, np.float32))
    config = PPOConfig(shared_sizes=(4,))
    policy = Policy(spaces.Box(-9, 9, (2,)), spaces.Discrete(2), config, np.random.default_rng(0))
    with pytest.raises(EnvironmentFault, match=r"^In step 2, the policy could not act: obs is"):
        evaluate_policy(policy, broken, 2)
    with pytest.raises(ZeroDivisionError):
        evaluate_policy(lambda obs: 1 // 0, "CartPole-v1", 1)


def test_wrappers_of_a_lone_file_are_named_before(monkeypatch):
    policy = cartpole_policy(wrappers=("foreign_evaluated:Same",), env_id="foreign_evaluated:X-v0")
    policy.source = "/nowhere/alone.h5"
    with pytest.raises(RuntimeWarning, match=r"^the environment of checkpoint '/nowhere/alone.h5' imports foreign_ev"):
        evaluate_policy(policy, "CartPole-v1", 1)
    policy.config = dataclasses.replace(policy.config, wrappers=())
    assert len(evaluate_policy(policy, "CartPole-v1", 1).returns) == 1
