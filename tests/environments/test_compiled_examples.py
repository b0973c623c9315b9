"""Gymnasium's environments as compiled ones: the same numbers, bit for bit, over 10,000 steps."""

import math
from importlib.util import find_spec
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np.config import PPOConfig
from ppo_np.environments.compiled_envs import EXAMPLES, registered_model
from ppo_np.environments.make import make_vector_env

ENVS, STEPS = 4, 2500
# NumPy has sines and cosines of its own on some processors; those of the examples are the C library's.
ANGLES = np.linspace(-10, 10, 1001)
SAME_LIBRARY = all(np.sin(x) == math.sin(x) and np.cos(x) == math.cos(x) for x in ANGLES)
# In Pendulum's reward, Gymnasium squares by C's `pow`, which rounds one square in a thousand differently. One of the
# squares is in float32.
ROUNDED_SQUARES = {"Pendulum-v1": "rewards"}


def rollout(envs):
    """All results of STEPS steps, by name; and the final observations."""
    obs, _ = envs.reset(seed=3)
    found = {"observations": [obs], "rewards": [], "terminations": [], "truncations": [], "finals": []}
    for actions in actions_of(envs):
        *results, infos = envs.step(actions)
        for name, array in zip(found, results, strict=False):
            found[name].append(array.copy())
        found["finals"] += [final for final in infos.get("final_obs", ()) if final is not None]
    return {name: np.array(arrays) for name, arrays in found.items()}


def actions_of(envs):
    envs.action_space.seed(7)
    held = [envs.action_space.sample() for _ in range(STEPS // 10)]  # held for 10 steps, actions lead further
    return [action for action in held for _ in range(10)]


@pytest.mark.parametrize("env_id", EXAMPLES)
def test_all_numbers_are_gymnasiums(env_id):
    theirs = SyncVectorEnv([lambda: gymnasium.make(env_id)] * ENVS, autoreset_mode=AutoresetMode.SAME_STEP)
    ours = make_vector_env(PPOConfig(env_id=env_id, num_envs=ENVS, vectorization="compiled"))
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    expected, found = rollout(theirs), rollout(ours)
    assert len(found["finals"]) > 4
    for name, array in expected.items():
        if name == ROUNDED_SQUARES.get(env_id) or not SAME_LIBRARY:
            np.testing.assert_array_max_ulp(np.float32(found[name]), np.float32(array), 1)
            assert (found[name] == array).mean() > 0.99
        else:
            np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize("env_id", EXAMPLES)
def test_limits_are_gymnasiums_and_files_are_short(env_id):
    model, spec = registered_model(env_id), gymnasium.spec(env_id)
    assert (model.max_episode_steps, model.reward_threshold) == (spec.max_episode_steps, spec.reward_threshold)
    assert len(Path(find_spec(model.__module__).origin).read_text().splitlines()) < 60
