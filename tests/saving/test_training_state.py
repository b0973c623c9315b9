"""What a checkpoint holds of a run, by name, and that it can be put into another run."""

import copy
import pickle

import numpy as np
import pytest

from ppo_np import PPO, PPOConfig, UserError
from ppo_np.saving.checkpoint import restore
from ppo_np.saving.training_state import COUNTERS, RNGS

SMALL = PPOConfig(env_id="CartPole-v1", num_envs=2, num_steps=8, total_timesteps=32, shared_sizes=(4,))


def trained(**settings):
    return PPO(PPOConfig.from_dict(SMALL.to_dict() | settings)).learn()


def test_tensors_are_views_under_the_names_in_a_file():
    state = trained().state
    tensors, shapes, optimizer = state.tensors(), state.model.shapes, state.optimizer
    assert list(tensors) == [f"{group}/{name}" for group in ("parameters", "adam/m", "adam/v") for name in shapes]
    for group, flat in (("parameters", state.model.params), ("adam/m", optimizer.m), ("adam/v", optimizer.v)):
        for number, (name, shape) in enumerate(shapes.items()):
            assert tensors[f"{group}/{name}"].shape == shape
            tensors[f"{group}/{name}"][:] = number
        assert flat.tolist() == [n for n, shape in enumerate(shapes.values()) for _ in range(np.prod(shape))]


def test_running_statistics_are_there_if_the_settings_ask_for_them():
    assert trained().state.normalizer_arrays() == {}
    state = trained(norm_obs=True, norm_reward=True).state
    names = {"obs": ("count", "mean", "variance"), "reward": ("count", "mean", "variance", "running")}
    assert list(state.normalizer_arrays()) == [f"{part}/{name}" for part in names for name in names[part]]


def test_counters_and_random_generators_come_back():
    old, new = trained(), PPO(PPOConfig.from_dict(SMALL.to_dict() | {"seed": 5}))
    old.state.environments_reset = 3
    saved = old.resume_point.checkpoint(old.config, old.ranks)
    assert saved.counters == {"update": 2, "global_step": 32, "adam_step": 32, "environments_reset": 3}
    restore(new.state, saved, 2, new.ranks)
    assert {name: getattr(new.state, name) for name in COUNTERS} == saved.counters
    assert new.state.optimizer.steps == 32
    assert list(old.state.rng_states()) == list(RNGS)
    drawn = [[ppo.state.rngs[name].random() for name in RNGS] for ppo in (old, new)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 3


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda each: pickle.loads(pickle.dumps(each))}
copies = pytest.mark.parametrize("copy_of", COPIES.values(), ids=COPIES)


def train_by_hand(state):
    """One step of gradient descent, with the parts of a state."""
    model = state.model
    minibatch, activations = model.minibatch(4), model.activations(4)
    minibatch.obs[:], minibatch.returns[:] = 0.5, np.arange(4)
    model.loss_and_gradient(minibatch, activations, SMALL)
    state.optimizer.step(0.1)
    return state


@copies
def test_a_copy_of_a_state_learns_as_the_original_and_apart_from_it(copy_of):
    state = trained(norm_obs=True).state
    twin, before = copy_of(state), state.model.params.copy()
    train_by_hand(twin)
    assert np.array_equal(state.model.params, before)
    assert np.array_equal(train_by_hand(state).model.params, twin.model.params)
    assert not np.array_equal(state.model.params, before)
    np.testing.assert_equal(twin.tensors(), state.tensors())
    np.testing.assert_equal(twin.rng_states(), state.rng_states())
    np.testing.assert_equal(twin.normalizer_arrays(), state.normalizer_arrays())
    assert twin.model.grads.base is twin.model.grads_and_terms


@copies
def test_a_copy_of_a_part_of_a_state_is_whole(copy_of):
    state = trained(norm_obs=True, norm_reward=True).state
    optimizer, params = copy_of(state.optimizer), state.model.params.copy()
    optimizer.step(0.1)
    assert np.array_equal(state.model.params, params)
    state.optimizer.step(0.1)
    assert np.array_equal(state.model.params, optimizer.params)
    for normalizer in state.normalizers.values():
        twin = copy_of(normalizer)
        np.testing.assert_equal(twin.arrays(), normalizer.arrays())
        twin.arrays()["mean"][:] = 7
        assert not (normalizer.arrays()["mean"] == 7).any()


@pytest.mark.parametrize("copy_of", [copy.copy, *COPIES.values()], ids=["copy", *COPIES])
def test_a_whole_ppo_is_not_copied_and_one_sentence_says_so(copy_of):
    ppo = trained()
    with pytest.raises(UserError, match="^A PPO cannot be copied or pickled, .*save it to a file and load that"):
        copy_of(ppo)
    assert isinstance(copy_of(ppo.config), PPOConfig)
