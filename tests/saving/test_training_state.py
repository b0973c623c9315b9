"""The training state: its tensors by name, and counters and generators that go into another one and come back."""

import dataclasses

import numpy as np
import pytest

from ppo_np import PPO, PPOConfig
from ppo_np.saving.training_state import COUNTERS, RNGS

SMALL = PPOConfig(env_id="CartPole-v1", num_envs=1, num_steps=16, shared_sizes=(3,), policy_sizes=(2,))
LAYERS = ("shared/0", "policy/0", "policy/head", "value/head")


@pytest.fixture
def state():
    return state_of(seed=0)


def state_of(seed):
    ppo = PPO(dataclasses.replace(SMALL, seed=seed))
    ppo.close()
    return ppo.state


def test_tensors_are_named_by_group_tower_and_layer(state):
    tensors = state.tensors()
    groups = "parameters", "adam/m", "adam/v"
    names = {f"{group}/{layer}/{kind}" for group in groups for layer in LAYERS for kind in ("weight", "bias")}
    assert tensors.keys() == names
    assert all(tensors[f"{group}/policy/head/weight"].shape == (2, 2) for group in groups)
    assert sum(tensor.size for tensor in tensors.values()) == 3 * state.model.params.size


def test_writing_into_tensors_changes_what_they_are_of(state):
    optimizer = state.optimizer
    flats = {"parameters": state.model.params, "adam/m": optimizer.m, "adam/v": optimizer.v}
    for number, (name, tensor) in enumerate(state.tensors().items(), start=1):
        tensor[:] = number
        (written,) = [group for group, flat in flats.items() if (flat == number).any()]
        assert name.startswith(f"{written}/")
        assert (flats[written] == number).sum() == tensor.size
    assert all(flat.all() for flat in flats.values())
    assert state.flats().keys() == {"adam/m", "adam/v"}
    assert all(flat is flats[name] for name, flat in state.flats().items())


def test_counters_come_back(state):
    assert state.counters == dict.fromkeys(COUNTERS, 0)
    counters = {name: number for number, name in enumerate(COUNTERS, start=5)}
    state.set_counters(counters)
    assert state.counters == counters
    assert (state.update, state.global_step, state.optimizer.steps, state.environments_reset) == (5, 6, 7, 8)


def test_the_generators_states_come_back(state):
    other = state_of(seed=1)
    saved = state.rng_states()
    assert tuple(saved) == RNGS
    assert all(saved[name] != theirs for name, theirs in other.rng_states().items())
    drawn = [getattr(state, name).random(5) for name in RNGS]
    other.set_rng_states(saved)
    assert other.rng_states() == saved
    np.testing.assert_array_equal([getattr(other, name).random(5) for name in RNGS], drawn)


@pytest.mark.parametrize("change", [{"action_rng": 1}, {"predict_rng": {"bit_generator": "MT19937"}}])
def test_an_unusable_state_of_a_generator_is_refused(state, change):
    with pytest.raises((KeyError, TypeError, ValueError)):
        state.set_rng_states(state.rng_states() | change)
    with pytest.raises(KeyError):
        state.set_rng_states({name: state.rng_states()[name] for name in RNGS[:2]})
