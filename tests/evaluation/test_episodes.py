"""Whole episodes in one environment: they end when the environment says so; statistics of their returns."""

import numpy as np
import pytest
import sample_environments

from ppo_np.config import PPOConfig
from ppo_np.environments.guard import Guard
from ppo_np.environments.stream import Episode
from ppo_np.errors import EnvironmentFault
from ppo_np.evaluation.episodes import play_episode, statistics
from ppo_np.learning.policy import Policy


def policy_for(env, **settings):
    config = PPOConfig(shared_sizes=(4,), **settings)
    return Policy(env.observation_space, env.action_space, config, np.random.default_rng(0))


@pytest.mark.parametrize("end", ["T", "t", "Tt"])
def test_an_episode_ends_by_termination_or_truncation(end):
    env = Guard(sample_environments.Counting(lengths=(5,), ends=(end,)), 0)
    episode = play_episode(env, policy_for(env), seed=0, deterministic=True)
    assert episode.episodic_length == 5
    assert episode.episodic_return == 5 + sum(env.unwrapped.actions)


def test_normalised_observations_use_the_statistics_and_leave_them():
    env = Guard(sample_environments.Counting(lengths=(5,)), 0)
    policy = policy_for(env, norm_obs=True)
    policy.obs_moments.update(np.array([[0.0, 1.0], [2.0, 5.0]]), np.ones(2, bool))
    before = {name: array.copy() for name, array in policy.obs_moments.arrays().items()}
    policy._is_direct = False  # which would not call `forward`
    inputs, forward = [], policy.model.forward
    policy.model.forward = lambda obs, *outputs: (inputs.append(obs.copy()), forward(obs, *outputs))
    play_episode(env, policy, seed=0, deterministic=True)
    np.testing.assert_allclose(np.concatenate(inputs), [[-1, (step - 3) / 2] for step in range(5)], rtol=1e-6)
    np.testing.assert_equal(policy.obs_moments.arrays(), before)


def test_an_episode_can_be_left():
    env, asked = Guard(sample_environments.Counting(lengths=(5,)), 0), iter([False, False, True])
    assert play_episode(env, policy_for(env), 0, True, stopped=lambda: next(asked)) is None
    assert len(env.unwrapped.actions) == 2


def test_a_fault_names_the_step_and_the_seed(monkeypatch):
    env = Guard(sample_environments.Counting(lengths=(5,)), 0)
    policy, step = policy_for(env), env.env.step
    monkeypatch.setattr(env.env, "step", lambda action: (np.full(2, np.nan, np.float32), *step(action)[1:]))
    with pytest.raises(EnvironmentFault, match=r"^In step 2 of the episode with seed 7, the policy could not act: obs"):
        play_episode(env, policy, seed=7, deterministic=True)
    monkeypatch.setattr(env.env, "step", lambda action: 1 / 0)
    with pytest.raises(EnvironmentFault, match=r"^In step 1 of the episode with seed 7, environment 0 raised ZeroDiv"):
        play_episode(env, policy, seed=7, deterministic=True)


def test_statistics():
    report = statistics([Episode(1.0, 10), Episode(4.0, 20), Episode(4.0, 30)], threshold=4.0)
    assert report == {
        "mean_return": 3.0, "std_return": np.std([1, 4, 4]), "min_return": 1.0, "max_return": 4.0, "mean_length": 20.0,
        "episodes": 3, "reward_threshold": 4.0, "success_rate": 2 / 3, "returns": [1.0, 4.0, 4.0],
    }  # fmt: skip
    assert statistics([Episode(1.0, 10)], threshold=None)["success_rate"] is None
