"""The calls of a step: acting is the forward pass, bit by bit, and counting is what NumPy counts."""

import numpy as np
import pytest
from action_heads import HEADS, every_head
from hypothesis import given
from hypothesis import strategies as st

from kernels.acting import FINE, NOT_FINITE, acting_forward, count_step
from ppo_np.config import PPOConfig
from ppo_np.network.model import ActorCritic

NETWORKS = {
    "shared": {"shared_sizes": (7, 9), "policy_sizes": (), "value_sizes": (), "activation": "relu"},
    "separate": {"shared_sizes": (), "policy_sizes": (6, 5), "value_sizes": (4,), "activation": "tanh"},
    "a fork": {"shared_sizes": (9,), "policy_sizes": (6, 5), "value_sizes": (4, 8, 3), "activation": "tanh"},
    "no hidden layer": {"shared_sizes": (), "policy_sizes": (), "value_sizes": ()},
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def network_of(head, network, dtype=np.float32):
    rng = np.random.default_rng(1)
    model = ActorCritic(3, head, PPOConfig(**network), rng, dtype)
    model.params[:] = rng.standard_normal(model.params.size)
    return model, rng


@every_head
@every_network
@pytest.mark.parametrize("rows", [1, 2, 16, 17, 40])
def test_acting_is_the_forward_pass(head, network, rows):
    model, rng = network_of(head, network)
    activations, acting = model.activations(rows), model.activations(rows)
    obs = rng.standard_normal((rows, 3)).astype(np.float32)
    model.forward(obs, activations)
    assert model.act(obs, 1e15, acting) == FINE
    np.testing.assert_array_equal(acting.policy_outputs, activations.policy_outputs)
    np.testing.assert_array_equal(acting.values, activations.values)
    assert np.abs(activations.policy_outputs).min() > 0


def test_another_number_of_rows_between():
    model, rng = network_of(HEADS["Box"], NETWORKS["a fork"])
    every = [(rng.standard_normal((rows, 3)).astype(np.float32), model.activations(rows)) for rows in (2, 30, 3)]
    for obs, activations in every:
        model.act(obs, 1e15, activations)
    for obs, activations in every:
        found = activations.policy_outputs.copy()
        model.forward(obs, activations)
        np.testing.assert_array_equal(found, activations.policy_outputs)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 11])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_observations_out_of_range_are_found_and_nothing_is_computed(bad, place):
    model, _ = network_of(HEADS["Discrete"], NETWORKS["separate"])
    obs, activations = np.zeros((2, 3), np.float32), model.activations(2)
    obs.reshape(-1)[place] = bad
    assert model.act(obs, 10.0, activations) == place
    assert not activations.policy_outputs.any()


@pytest.mark.parametrize("tower", ["policy", "value"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_outputs_that_are_not_finite_are_found(tower, bad):
    model, _ = network_of(HEADS["Discrete"], NETWORKS["separate"])
    model.named(model.params)[f"{tower}/head/bias"][0] = bad
    assert model.act(np.zeros((2, 3), np.float32), 10.0, model.activations(2)) == NOT_FINITE


def test_two_layers_by_hand():
    assert (FINE, NOT_FINITE) == (-1, -2), "as the docstring says; no place is negative"
    params = np.array([2.0, 3.0, 10.0, 100.0, -7.0, 1.0, 5.0])  # hidden W, b; policy W, b, a gap; value W, b
    layers = np.array([(0, 1, 1, -1, 0), (2, 1, 1, 0, -1), (5, 1, 1, 0, -2)])
    obs, policy_outputs, values = np.array([[4.0], [-4.0]]), np.zeros((2, 1)), np.zeros(2)
    assert acting_forward(params, layers, obs, 9.0, 0, np.zeros(2), policy_outputs, values) == FINE
    np.testing.assert_array_equal(policy_outputs, [[11 * 10 + 100], [100]])
    np.testing.assert_array_equal(values, [11 * 1 + 5, 5])


@given(st.integers(1, 9).flatmap(lambda n: st.lists(st.integers(0, 15), min_size=n, max_size=n)), st.integers(0, 99))
def test_counting_is_what_numpy_counts(bits, seed):
    flags = np.array(bits)
    valid, terminations, truncations = ((flags >> k) % 2 == 1 for k in range(3))
    rng = np.random.default_rng(seed)
    rewards, returns = rng.standard_normal((2, len(bits)))
    lengths, dones = rng.integers(9, size=len(bits)), np.zeros(len(bits), bool)
    expected = returns + rewards, lengths + valid, terminations | truncations
    ended = count_step(rewards, valid, terminations, truncations, 1e15, returns, lengths, dones)
    assert ended == np.count_nonzero(expected[2])
    for found, wanted in zip((returns, lengths, dones), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e15])
@pytest.mark.parametrize("n", [0, 1])
def test_a_reward_out_of_range_is_found_and_nothing_counted(bad, n):
    rewards, returns, lengths, dones = np.ones(2), np.zeros(2), np.zeros(2, np.int64), np.zeros(2, bool)
    rewards[n] = bad
    ones = np.ones(2, bool)
    assert count_step(rewards, ones, ones, ones, 1e15, returns, lengths, dones) == -1
    assert not returns.any() and not lengths.any() and not dones.any()
