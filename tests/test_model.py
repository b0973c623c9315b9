"""The network: its shape, its names, its initial weights. Its gradient is checked in gradients/."""

import math

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.model import ActorCritic

NETWORK = PPOConfig(shared_sizes=(5,), policy_sizes=(4,), value_sizes=(3, 4))


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
    rng = np.random.default_rng(1)
    model64, model32 = (
        ActorCritic(3, 4, NETWORK, np.random.default_rng(0), dtype) for dtype in (np.float64, np.float32)
    )
    model64.params[:] += 0.3 * rng.standard_normal(model64.params.size)
    model32.params[:] = model64.params
    batch64, batch32 = model64.batch(24), model32.batch(24)
    for name in ("obs", "old_logprobs", "old_values", "advantages", "returns"):
        numbers = rng.standard_normal(getattr(batch64, name).shape) - (1 if name == "old_logprobs" else 0)
        getattr(batch64, name)[:] = getattr(batch32, name)[:] = numbers
    batch64.actions[:] = batch32.actions[:] = rng.integers(4, size=24)
    terms64, terms32 = model64.loss_and_gradient(batch64, NETWORK), model32.loss_and_gradient(batch32, NETWORK)
    np.testing.assert_allclose(terms32, terms64, rtol=1e-4, atol=1e-6)
    assert np.linalg.norm(model32.grads - model64.grads) < 1e-5 * np.linalg.norm(model64.grads)
