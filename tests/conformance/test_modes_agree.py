"""The two ways of autoreset, and every vectorisation, tell the same story but for the reset rows."""

import functools
from functools import partial

import gymnasium
import numpy as np
import pytest
from episodes import EVERY_WAY, MODES, make, scripts_of
from gymnasium.vector import SyncVectorEnv
from rig import Rig

from ppo_np.environments.workers import WorkerEnvs
from ppo_np.learning.normalizer import RewardScaler, RunningMoments

STEPS = 120
REFERENCE = "sync-same"
SCRIPTS = scripts_of("two in a row", "mixed")
TRANSITIONS = 60

every_way = pytest.mark.parametrize("way", [way for way in EVERY_WAY if way != REFERENCE])


def rollout(envs, **settings):
    """One long rollout under a policy that always does the same: the buffer and the report."""
    with Rig(envs, STEPS, **settings) as rig:
        rig.always_choose(1)
        return rig.buffer, rig.collect()


@functools.cache
def scripted(way):
    """The rollout that all tests look at, and none changes."""
    return rollout(make(way, SCRIPTS))


def first_transitions(buffer):
    """The valid rows among which each environment's first ones are: (T, N)."""
    first = buffer.valid & (buffer.valid.cumsum(axis=0) <= TRANSITIONS)
    assert (first.sum(axis=0) == TRANSITIONS).all()
    return first


def columns(rows, array):
    """`array`, (T, N, ...) or longer, at `rows`, one environment after the other."""
    return np.swapaxes(array[: len(rows)], 0, 1)[rows.T]


def assert_same_transitions(one, other):
    rows, other_rows = first_transitions(one), first_transitions(other)
    for name in ("obs", "rewards", "terminations", "truncations", "values", "logprobs", "actions"):
        mine, others = columns(rows, getattr(one, name)), columns(other_rows, getattr(other, name))
        np.testing.assert_array_equal(mine, others, err_msg=name)


@every_way
def test_transitions_are_the_same(way):
    assert_same_transitions(scripted(way)[0], scripted(REFERENCE)[0])


@every_way
def test_advantages_of_finished_episodes_are_the_same(way):
    one, other = scripted(way)[0], scripted(REFERENCE)[0]
    rows, other_rows = first_transitions(one), first_transitions(other)
    for name in ("advantages", "returns"):
        # 60 transitions in, every episode that has begun ends long before the rollout does.
        mine, others = columns(rows, getattr(one, name)), columns(other_rows, getattr(other, name))
        np.testing.assert_array_equal(mine, others, err_msg=name)


@every_way
def test_episodes_are_the_same(way):
    ours, reference = episodes_of(way), episodes_of(REFERENCE)
    for own, others in zip(ours, reference, strict=True):
        shared = min(len(own), len(others))
        assert shared > 20
        assert own[:shared] == others[:shared]


def episodes_of(way):
    """The finished episodes, for each environment."""
    buffer, report = scripted(way)
    own = [[] for _ in SCRIPTS]
    for (_, n), episode in zip(np.argwhere(buffer.terminations | buffer.truncations), report.episodes, strict=True):
        own[n].append(episode)
    return own


@every_way
def test_running_moments_are_the_same(way):
    ours, reference = moments_of(way), moments_of(REFERENCE)
    assert ours["obs/count"] == ours["reward/count"] == TRANSITIONS * len(SCRIPTS)
    for name, array in ours.items():
        np.testing.assert_allclose(array, reference[name], rtol=1e-12, atol=1e-12, err_msg=name)


def moments_of(way):
    """The statistics of the first transitions, of observations and of rewards."""
    buffer, _ = scripted(way)
    first, obs, scaler = first_transitions(buffer), RunningMoments(3), RewardScaler(len(SCRIPTS), 0.9)
    obs.update(buffer.obs.reshape(-1, 3), first.reshape(-1))
    scaler.scale(buffer.rewards.copy(), first, buffer.terminations | buffer.truncations)
    parts = {"obs": obs, "reward": scaler}
    return {f"{part}/{name}": array for part, owner in parts.items() for name, array in owner.arrays().items()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [SyncVectorEnv, partial(WorkerEnvs, timeout=60)], ids=["sync", "workers"])
def test_random_environments_go_on_from_their_seeds(kind, mode):
    """A reset row draws from the same generator as a reset in the step before."""
    factories = [partial(gymnasium.make, "CartPole-v1")] * 2
    settings = {"weights": (1, 2, 3, 4), "seed": 11}
    reference, _ = rollout(SyncVectorEnv(factories, autoreset_mode=MODES["same"]), **settings)
    buffer, _ = rollout(kind(factories, autoreset_mode=MODES[mode]), **settings)
    assert reference.terminations.sum() > 15
    assert_same_transitions(buffer, reference)
