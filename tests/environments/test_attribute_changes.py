"""Attributes of the environments, set from outside: in all vectorisations, and exactly again when a run is resumed."""

import warnings

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from leveled import Leveled, Shown

from ppo_np import PPO, EnvironmentFault, PPOConfig, UserError
from ppo_np.environments.attribute_changes import AttributeChanges, Change

SMALL = PPOConfig(total_timesteps=80, num_envs=2, num_steps=4, num_minibatches=2, update_epochs=1, shared_sizes=(4,))


def make():
    return Shown(Leveled())


def own_vector():
    return SyncVectorEnv([make] * 2, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.mark.parametrize("vectorization", ["sync", "async", "own"])
def test_attributes_and_methods_of_all_environments(vectorization):
    kwargs = {} if vectorization == "own" else {"vectorization": vectorization}
    ppo = PPO(SMALL, own_vector() if vectorization == "own" else make, **kwargs)
    assert ppo.get_attr("level") == [0, 0]
    ppo.set_attr("level", np.int64(2))
    assert ppo.get_attr("level") == [2, 2]
    assert type(ppo.get_attr("level")[0]) is int
    ppo.set_attr("colour", ["a", "b"])  # of the wrapper, one value for all
    assert ppo.get_attr("colour") == [["a", "b"]] * 2
    assert ppo.get_attr("episodes") == ["its own"] * 2  # not those that the guard counts
    assert ppo.env_method("set_level", level=5) == [6, 6]
    ppo.close()


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_mistakes_leave_the_environments_usable(vectorization):
    ppo = PPO(SMALL, make, vectorization=vectorization)
    for call in (lambda: ppo.get_attr("levle"), lambda: ppo.set_attr("levle", 1), lambda: ppo.env_method("levle")):
        with pytest.raises(UserError, match=r"^name is 'levle', but environment 0 has no such attribute\.$"):
            call()
    assert ppo.get_attr("level") == [0, 0]
    with pytest.raises(EnvironmentFault, match=r"^In step 0, environment 0 raised ValueError: no \(.*\) in raises\.$"):
        ppo.env_method("raises")
    ppo.close()


def test_compiled_environments_have_no_attributes():
    ppo = PPO(PPOConfig(env_id="CartPole-v1", vectorization="compiled", num_envs=2, num_steps=4, shared_sizes=(4,)))
    with pytest.raises(UserError, match=r"^name is 'gravity', but CompiledVectorEnv has no single environments"):
        ppo.set_attr("gravity", 1)


def curriculum(ppo, metrics):
    ppo.set_attr("level", metrics.update // 2)


@pytest.fixture(scope="module")
def whole():
    """Parameters, and returns and lengths of all updates, of a curriculum that was not stopped."""
    rows = []
    ppo = PPO(SMALL, make)
    ppo.learn([curriculum, lambda ppo, metrics: rows.append((metrics.episodic_return, metrics.episodic_length))])
    return ppo.policy.model.params, np.array(rows)


@pytest.mark.parametrize(("vectorization", "stop_at"), [("sync", 1), ("sync", 3), ("sync", 4), ("async", 5)])
def test_a_resumed_curriculum_goes_on_exactly(tmp_path, whole, vectorization, stop_at):
    def some(ppo, metrics):
        curriculum(ppo, metrics)
        again.append((metrics.episodic_return, metrics.episodic_length))
        return metrics.update != stop_at

    again = []
    first = PPO(SMALL, make, vectorization=vectorization).learn(some)
    first.save(tmp_path / "a.h5")
    first.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = PPO.load(tmp_path / "a.h5", make)
    assert resumed.lost_envs == []
    assert resumed.get_attr("level") == [stop_at // 2] * 2
    resumed.save(tmp_path / "again.h5")  # a run may be stopped twice
    resumed.close()
    resumed = PPO.load(tmp_path / "again.h5", make).learn(some)
    resumed.close()
    np.testing.assert_array_equal(resumed.policy.model.params, whole[0])
    np.testing.assert_array_equal(np.array(again), whole[1])


def test_environments_that_are_not_restored_have_the_attributes_too(tmp_path):
    ppo = PPO(SMALL, own_vector()).learn(curriculum)
    ppo.save(tmp_path / "a.h5")
    with pytest.warns(RuntimeWarning, match="environments 0, 1 could not be restored"):
        assert PPO.load(tmp_path / "a.h5", own_vector()).get_attr("level") == [5, 5]


def test_an_environment_that_is_lost_has_them_too(tmp_path):
    PPO(SMALL, make).learn(lambda ppo, metrics: ppo.set_attr("level", metrics.update)).save(tmp_path / "a.h5")

    class Other(Leveled):
        def step(self, action):
            raise ValueError("another environment")

    with pytest.warns(RuntimeWarning, match="could not be restored"):
        assert PPO.load(tmp_path / "a.h5", Other).get_attr("level") == [10, 10]


def test_what_cannot_be_repeated_is_a_warning(tmp_path):
    ppo = PPO(SMALL, make)
    ppo.env_method("set_level", 1)
    ppo.set_attr("colour", np.ones(2))
    ppo.save(tmp_path / "a.h5")
    with pytest.warns(RuntimeWarning, match=r"^the environments were changed by set_level, colour: by env_method, or "):
        PPO.load(tmp_path / "a.h5", make)


def test_only_what_matters_is_kept():
    changes = AttributeChanges()
    for step, name, value in ((0, "a", 1), (0, "a", 2), (3, "a", 3), (3, "b", 4), (8, "a", 5), (9, "a", 6)):
        changes.set(step, name, value)
    changes.prune(8)
    assert changes.changes == [Change(3, "a", 3), Change(3, "b", 4), Change(8, "a", 5), Change(9, "a", 6)]
    packed = changes.packed(8)
    assert AttributeChanges.unpacked(packed).latest() == {"a": 5, "b": 4}
    assert changes.of_episode(8) == [Change(-5, "a", 3), Change(-5, "b", 4), Change(0, "a", 5), Change(1, "a", 6)]
    assert AttributeChanges().packed(8) is None


@pytest.mark.parametrize("packed", [np.zeros(3), np.frombuffer(b"{}", np.uint8), np.frombuffer(b"\xff", np.uint8)])
def test_damaged_changes_are_refused(packed):
    with pytest.raises(ValueError, match="changes of environments are of another"):
        AttributeChanges.unpacked(packed)
