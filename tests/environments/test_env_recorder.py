"""Environments that come back by replay, and those that do not, which is noticed."""

import itertools
import random
from contextlib import closing
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import sample_environments  # noqa: F401  makes its environments known
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ppo_np.config import PPOConfig
from ppo_np.environments import env_recorder
from ppo_np.environments.env_recorder import EnvRecord
from ppo_np.environments.env_restore import rng_words, set_rng_words
from ppo_np.environments.make import make_vector_env
from ppo_np.environments.observed import Observed
from ppo_np.environments.stream import EnvStream

ENVS = ["CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCarContinuous-v0", "LunarLander-v3"]


def config(env_id="CartPole-v1", vectorization="sync", num_envs=3):
    return PPOConfig(env_id=env_id, num_envs=num_envs, vectorization=vectorization, num_minibatches=1)


class Played:
    """A stream of environments and random actions."""

    def __init__(self, envs):
        self.envs, self.stream = envs, EnvStream(envs)
        self.rng = np.random.default_rng(0)
        envs.action_space.seed(0)

    def step(self, times):
        return [self.stream.step(self.envs.action_space.sample()) for _ in range(times)]

    def record(self):
        rows = np.array(self.stream.observed.obs, np.float32)
        return self.stream.record(self.stream.mark(Observed(rows)))

    def restore(self, record, seed=99):
        def flatten(obs, row):
            row[:] = obs

        return self.stream.restore(record, seed, flatten)


def plain(transition):
    final = [] if transition.final is None else transition.final.obs
    return transition._replace(final=[None if obs is None else obs.tolist() for obs in final])._asdict()


def arrays_of(record):
    return EnvRecord.of_arrays(record.arrays())


@pytest.mark.parametrize("vectorization", ["sync", "async"])
@pytest.mark.parametrize(("env_id", "steps"), [*((env_id, 250) for env_id in ENVS), ("CartPole-v1", 0)])
def test_they_come_back_and_go_on_as_they_did(env_id, vectorization, steps):
    one, other = (Played(make_vector_env(config(env_id, vectorization))) for _ in range(2))
    one.stream.reset(seed=7)
    one.step(steps)
    record = one.record()
    assert other.restore(arrays_of(record)).all()
    assert np.array_equal(other.stream.observed.obs, one.stream.observed.obs)
    np.testing.assert_equal(other.record().arrays(), record.arrays())
    other.envs.action_space.seed(5)
    one.envs.action_space.seed(5)
    for theirs, ours in zip(one.step(120), other.step(120), strict=True):
        np.testing.assert_equal(plain(ours), plain(theirs))
    np.testing.assert_equal(other.record().arrays(), one.record().arrays())
    one.envs.close()
    other.envs.close()


def test_a_record_is_of_the_mark_and_not_of_later_steps():
    one, other = (Played(make_vector_env(config())) for _ in range(2))
    one.stream.reset(seed=1)
    one.step(30)
    mark = one.stream.mark(Observed(np.array(one.stream.observed.obs)))
    one.step(100)
    record = one.stream.record(mark)
    assert other.restore(record).all()
    assert np.array_equal(other.stream.observed.obs, mark.observed.obs)
    assert record.steps == 30


class Hidden(gymnasium.Env):
    """Something of it is not decided by its generator and the actions: which of its parts, `where` says."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    made = itertools.count()

    def __init__(self, where):
        self.where, self.episodes, self.number = where, 0, next(self.made)
        self.noise = random.Random(self.number)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episodes += 1
        self.steps = 0
        if self.where == "exception" and self.episodes == 1 and seed is None:
            raise RuntimeError("this one is never reset without a seed at first")
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        hidden = self.noise.random() + self.episodes
        if self.where == "generator":
            self.np_random.random(self.number + self.episodes)
        obs = np.full(1, hidden if self.where == "observation" else self.steps, np.float32)
        ends = self.where == "end" and self.episodes == 1 and self.steps == 2
        return obs, hidden if self.where == "reward" else 1.0, ends or self.steps == 9, False, {}


class Halving(gymnasium.Env):
    """Changes its action in place, as environments do that scale or clip it."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float64)

    def __init__(self, action_space):
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.zeros(3)
        return self.state, {}

    def step(self, action):
        self.state += action
        action //= 2
        return self.state, 1.0 + float(action.sum()), False, False, {}


@pytest.mark.parametrize(
    "space",
    [gymnasium.spaces.Box(-9, 9, (3,)), gymnasium.spaces.MultiDiscrete([9, 9, 9]), gymnasium.spaces.MultiBinary(3)],
    ids=lambda space: type(space).__name__,
)
def test_environments_that_change_their_action_come_back_again_and_again(space):
    played = Played(make_vector_env(config(), lambda: Halving(space)))
    played.stream.reset(seed=0)
    played.step(5)
    record = played.record()
    assert record.returns.any()
    for _ in range(3):
        played = Played(make_vector_env(config(), lambda: Halving(space)))
        assert played.restore(arrays_of(record)).all()
        np.testing.assert_equal(played.record().arrays(), record.arrays())
        record = played.record()


@pytest.mark.parametrize("where", ["observation", "reward", "generator", "exception", "end"])
def test_one_that_does_not_come_back_begins_another_episode(where):
    def envs():
        kinds = iter(["nothing", "nothing", where, "nothing"])  # the first one is made to be looked at
        return make_vector_env(config(), lambda: Hidden(next(kinds)))

    one, other = Played(envs()), Played(envs())
    one.stream.reset(seed=3)
    one.step(14)
    record = one.record()
    same = other.restore(arrays_of(record))
    odd = np.array([env.unwrapped.where != "nothing" for env in other.envs.envs])
    assert odd.tolist() == [False, True, False]
    assert (~same).tolist() == odd.tolist()
    again = other.record()
    assert again.returns[odd] == again.lengths[odd] == 0
    assert np.array_equal(again.returns[same], record.returns[same])
    other.step(20)


def test_environments_without_a_guard_are_reset_as_a_whole():
    def envs():
        makes = [lambda: gymnasium.make("CartPole-v1")] * 3
        return SyncVectorEnv(makes, autoreset_mode=AutoresetMode.SAME_STEP)

    one, other, reset = Played(envs()), Played(envs()), Played(envs())
    one.stream.reset(seed=3)
    one.step(30)
    record = one.record()
    assert not record.known.any()
    assert not other.restore(arrays_of(record), seed=44).any()
    assert np.array_equal(other.stream.observed.obs, reset.stream.reset(44).observed.obs)
    assert other.stream.steps == 30


def test_episodes_longer_than_the_memory_are_not_known(monkeypatch):
    monkeypatch.setattr(env_recorder, "LARGEST_HISTORY", 3 * 4 * 10)  # ten steps of three environments
    played = Played(make_vector_env(config("Pendulum-v1")))
    played.stream.reset(seed=0)
    for steps, known in ((10, 1), (1, 0), (189, 1), (5, 1)):
        played.step(steps)
        record = played.record()
        assert record.known.tolist() == [known] * 3, (steps, record.lengths)
        assert len(played.stream._recorder._actions) <= 10
        assert arrays_of(record) is not None


def test_actions_are_remembered_as_they_were_given():
    played = Played(make_vector_env(config("Pendulum-v1")))
    played.stream.reset(seed=0)
    actions = np.ones((3, 1), np.float32)
    played.stream.step(actions)
    actions[:] = -1
    assert played.record().actions.tolist() == [[1], [1], [1]]


def test_an_action_mask_goes_with_its_environment():
    played = Played(make_vector_env(config(num_envs=4)))
    played.stream.reset(seed=0)
    played.step(12)
    without = played.record()
    assert "action_mask" not in without.arrays()
    assert without.part(range(1, 3)).action_mask is None
    mask = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 1]], np.int8)
    record = replace(without, action_mask=mask)
    np.testing.assert_equal(arrays_of(record).arrays(), {**without.arrays(), "action_mask": mask})

    parts = [record.part(range(1)), record.part(range(1, 4))]
    assert [part.action_mask.tolist() for part in parts] == [mask[:1].tolist(), mask[1:].tolist()]
    np.testing.assert_equal(EnvRecord.joined(parts).arrays(), record.arrays())
    np.testing.assert_equal(EnvRecord.joined(parts[::-1]).action_mask, mask[[1, 2, 3, 0]])
    with pytest.raises(ValueError, match="have different lengths"):
        EnvRecord.of_arrays(record.arrays() | {"action_mask": mask[:3]})


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_an_environment_is_the_same_only_if_its_mask_is(vectorization):
    settings = PPOConfig(
        env_id="ppo_np_test/Cards-v0", num_envs=4, num_minibatches=1, vectorization=vectorization,
        action_mask="info:action_mask",
    )  # fmt: skip
    with closing(make_vector_env(settings)) as envs, closing(make_vector_env(settings)) as other_envs:
        stream, again = (EnvStream(one, action_mask=settings.action_mask) for one in (envs, other_envs))
        stream.reset(seed=0)
        for _ in range(2):
            stream.step(stream.observed.action_mask.argmax(axis=1))
        flat_obs, mask = np.array(stream.observed.obs), stream.observed.action_mask.copy()
        record = arrays_of(stream.record(stream.mark(Observed(flat_obs, mask))))
        np.testing.assert_array_equal(record.action_mask, mask)
        record.action_mask[1] ^= 1
        assert again.restore(record, 99, lambda obs, row: row.__setitem__(slice(None), obs)).tolist() == [
            True, False, True, True,
        ]  # fmt: skip
        shown, in_hand = again.observed.action_mask, again.observed.obs[:, :5]
        np.testing.assert_array_equal(shown[[0, 2, 3]], mask[[0, 2, 3]])
        np.testing.assert_array_equal(shown, in_hand)  # also that of the new episode
        without = replace(record, action_mask=None)
        assert not again.restore(without, 99, lambda obs, row: row.__setitem__(slice(None), obs)).any()


def test_the_state_of_a_generator_as_words():
    one, other = gymnasium.make("CartPole-v1"), gymnasium.make("CartPole-v1")
    for env, seed in ((one, 5), (other, 6)):
        env.reset(seed=seed)
    one.unwrapped.np_random.integers(0, 3, dtype=np.uint32)  # leaves half a word behind
    words = rng_words(one)
    assert (words.shape, words.dtype, words[4]) == ((6,), np.uint64, 1)
    set_rng_words(other, words)
    assert other.unwrapped.np_random.bit_generator.state == one.unwrapped.np_random.bit_generator.state


def test_a_generator_of_another_kind_has_none():
    env = gymnasium.make("CartPole-v1")
    env.unwrapped.np_random = np.random.Generator(np.random.MT19937(0))
    assert rng_words(env) is None
