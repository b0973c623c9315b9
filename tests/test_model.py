"""The network: its shape, its initial weights, and the gradient of the whole loss by every parameter."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from finite_difference import assert_gradient, numeric_gradient

from ppo_np.config import PPOConfig
from ppo_np.model import ActorCritic

NETWORKS = {
    "shared": {"shared_sizes": (5, 4), "policy_sizes": (), "value_sizes": ()},
    "private": {"shared_sizes": (), "policy_sizes": (4,), "value_sizes": (3,)},
    "both": {"shared_sizes": (5,), "policy_sizes": (4,), "value_sizes": (3, 4)},
    "heads only": {"shared_sizes": (), "policy_sizes": (), "value_sizes": ()},
}
OBS_SIZE, ACTIONS, ROWS = 3, 4, 24


def off_policy_batch(config, seed):
    """A network and a minibatch far from where they were collected: every branch of the loss occurs."""
    rng = np.random.default_rng(seed)
    model = ActorCritic(OBS_SIZE, ACTIONS, config, rng, np.float64)
    model.params[:] += 0.3 * rng.standard_normal(model.params.size)
    batch = model.batch(ROWS)
    batch.obs[:] = rng.standard_normal(batch.obs.shape)
    batch.actions[:] = rng.integers(ACTIONS, size=ROWS)
    model.forward(batch)
    batch.distribution.forward(batch.logits, batch.actions)
    batch.old_logprobs[:] = batch.distribution.logprobs + rng.uniform(-0.6, 0.6, ROWS)
    batch.old_values[:] = batch.values + rng.uniform(-0.6, 0.6, ROWS)
    batch.advantages[:] = 2 * rng.standard_normal(ROWS)
    batch.returns[:] = batch.values + rng.standard_normal(ROWS)
    return model, batch


def branches(batch, config):
    """Which side of each kink every row and unit is on."""
    ratio = np.exp(batch.distribution.logprobs - batch.old_logprobs)
    change = batch.values - batch.old_values
    clipped = batch.old_values + np.clip(change, -config.clip_coef, config.clip_coef)
    larger = np.abs(clipped - batch.returns) > np.abs(batch.values - batch.returns)
    return np.concatenate(
        [np.digitize(ratio, [1 - config.clip_coef, 1 + config.clip_coef]), np.abs(change) > config.clip_coef, larger]
        + [h.reshape(-1) > 0 for outputs in batch.outputs.values() for h in outputs]
    )


def check_every_parameter(config, seed):
    """Compare the gradient with central differences; False if a kink lies within the step of a coordinate."""
    model, batch = off_policy_batch(config, seed)
    raw_advantages = batch.advantages.copy()
    model.loss_and_gradient(batch, config)
    analytic = model.grads.copy()
    home = branches(batch, config)
    crossed = []

    def loss():
        value = model.loss(batch, config)[0]
        crossed.append(not np.array_equal(branches(batch, config), home))
        return value

    numeric = numeric_gradient(loss, model.params)
    if any(crossed):
        return False
    for name, tensor in model.named(analytic).items():
        assert_gradient(tensor, model.named(numeric)[name], name)
    if config.norm_adv:
        assert not np.array_equal(raw_advantages, batch.advantages)
    return True


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("clip_vloss", "norm_adv"), [(True, True), (False, True), (True, False)])
def test_gradient_of_every_parameter(network, activation, clip_vloss, norm_adv):
    config = PPOConfig(
        activation=activation, clip_vloss=clip_vloss, norm_adv=norm_adv, ent_coef=0.3, vf_coef=0.7, **NETWORKS[network]
    )
    checked = itertools.islice((check_every_parameter(config, seed) for seed in itertools.count()), 20)
    assert any(checked), "20 points in a row lay on a kink"


def test_the_points_reach_every_branch():
    config = PPOConfig(**NETWORKS["both"])
    _, batch = off_policy_batch(config, 0)
    ratio = np.exp(batch.distribution.logprobs - batch.old_logprobs)
    regions = {
        (bool(a > 0), int(side)) for a, side in zip(batch.advantages, np.digitize(ratio, [0.8, 1.2]), strict=True)
    }
    assert len(regions) == 6
    change = batch.values - batch.old_values
    clipped = np.clip(change, -0.2, 0.2) + batch.old_values
    value_branches = {
        (bool(abs(c) > 0.2), bool(abs(vc - r) > abs(v - r)))
        for c, vc, v, r in zip(change, clipped, batch.values, batch.returns, strict=True)
    }
    assert {(True, True), (True, False), (False, False)} <= value_branches


def test_the_articles_network():
    model = ActorCritic(8, 4, PPOConfig(), np.random.default_rng(0))
    assert model.params.size == 1_063_941
    assert {name: tensor.shape for name, tensor in model.named(model.params).items()} == {
        "shared/0/weight": (8, 1024),
        "shared/0/bias": (1024,),
        "shared/1/weight": (1024, 1024),
        "shared/1/bias": (1024,),
        "policy/head/weight": (1024, 4),
        "policy/head/bias": (4,),
        "value/head/weight": (1024, 1),
        "value/head/bias": (1,),
    }


def test_initial_weights_are_orthogonal_with_the_right_gains():
    config = PPOConfig(shared_sizes=(16,), policy_sizes=(12,), value_sizes=(20,))
    tensors = (lambda m: m.named(m.params))(ActorCritic(6, 3, config, np.random.default_rng(0), np.float64))
    gains = {"policy/head/weight": 0.01, "value/head/weight": 1.0}
    for name, tensor in tensors.items():
        if name.endswith("bias"):
            assert not tensor.any()
        else:
            tall = tensor if tensor.shape[0] >= tensor.shape[1] else tensor.T
            expected = gains.get(name, math.sqrt(2)) ** 2 * np.eye(tall.shape[1])
            np.testing.assert_allclose(tall.T @ tall, expected, atol=1e-12)


def test_named_tensors_are_views():
    model = ActorCritic(3, 2, PPOConfig(shared_sizes=(4,)), np.random.default_rng(0))
    model.named(model.params)["value/head/bias"][:] = 7
    assert model.params[-1] == 7


def test_seed_decides_the_weights():
    config = PPOConfig(shared_sizes=(4,))
    first, same, other = (ActorCritic(3, 2, config, np.random.default_rng(seed)).params for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_float32_agrees_with_float64():
    config = dataclasses.replace(PPOConfig(), **NETWORKS["both"])
    model64, batch64 = off_policy_batch(config, 1)
    model32 = ActorCritic(OBS_SIZE, ACTIONS, config, np.random.default_rng(0), np.float32)
    model32.params[:] = model64.params
    batch32 = model32.batch(ROWS)
    for name in ("obs", "actions", "old_logprobs", "old_values", "advantages", "returns"):
        getattr(batch32, name)[:] = getattr(batch64, name)
    terms64, terms32 = model64.loss_and_gradient(batch64, config), model32.loss_and_gradient(batch32, config)
    np.testing.assert_allclose(terms32, terms64, rtol=1e-4, atol=1e-6)
    assert np.linalg.norm(model32.grads - model64.grads) < 1e-5 * np.linalg.norm(model64.grads)
