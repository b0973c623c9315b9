"""The network: its shape, its names, its initial weights. Its gradient is checked in gradients/."""

import math

import numpy as np
import pytest
from action_heads import BOX, every_head

from kernels.advantage import normalize
from ppo_np.config import PPOConfig
from ppo_np.network.action_head import discrete
from ppo_np.network.distributions import Categorical
from ppo_np.network.model import ActorCritic

NETWORK = PPOConfig(shared_sizes=(5,), policy_sizes=(4,), value_sizes=(3, 4))


def test_the_articles_network():
    model = ActorCritic(8, discrete(4), PPOConfig(), np.random.default_rng(0))
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


@every_head
def test_every_head_has_its_outputs_and_only_a_box_a_log_std(head):
    model = ActorCritic(3, head, NETWORK, np.random.default_rng(0))
    shapes = {name: tensor.shape for name, tensor in model.named(model.params).items()}
    log_std = {"policy/log_std": (2,)} if head is BOX else {}
    assert shapes == {
        "shared/0/weight": (3, 5), "shared/0/bias": (5,),
        "policy/0/weight": (5, 4), "policy/0/bias": (4,),
        "policy/head/weight": (4, head.outputs), "policy/head/bias": (head.outputs,), **log_std,
        "value/0/weight": (5, 3), "value/0/bias": (3,), "value/1/weight": (3, 4), "value/1/bias": (4,),
        "value/head/weight": (4, 1), "value/head/bias": (1,),
    }  # fmt: skip
    assert model.params.size == model.grads.size == sum(math.prod(shape) for shape in shapes.values())


@pytest.mark.parametrize("network", [NETWORK, PPOConfig(shared_sizes=())])
def test_log_std_stands_behind_the_policy_head_in_the_flat_vector(network):
    model = ActorCritic(3, BOX, network, np.random.default_rng(0))
    names = list(model.shapes)
    assert names[names.index("policy/head/bias") + 1] == "policy/log_std"
    model.params[:] = np.arange(model.params.size)
    tensors = model.named(model.params)
    assert np.array_equal(np.concatenate([tensor.reshape(-1) for tensor in tensors.values()]), model.params)
    assert tensors["policy/log_std"][0] == tensors["policy/head/bias"][-1] + 1


@pytest.mark.parametrize("log_std_init", [0.0, -1.5, 2.0])
def test_log_std_begins_where_the_settings_say(log_std_init):
    config = PPOConfig(shared_sizes=(4,), log_std_init=log_std_init)
    model = ActorCritic(3, BOX, config, np.random.default_rng(0))
    assert (model.named(model.params)["policy/log_std"] == log_std_init).all()
    minibatch, activations = model.minibatch(5000), model.activations(5000)
    distribution = activations.distribution
    model.forward(minibatch.obs, activations)
    distribution.sample(activations.policy_outputs, np.random.default_rng(1))
    spread = np.std(distribution.actions - activations.policy_outputs)
    assert spread == pytest.approx(math.exp(log_std_init), rel=0.03)
    assert (distribution.actions.dtype, minibatch.actions.shape) == (np.float32, (5000, 2))


def test_the_same_seed_gives_the_same_weights_whatever_log_std_is():
    first, other = (
        ActorCritic(3, BOX, PPOConfig(shared_sizes=(4,), log_std_init=x), np.random.default_rng(0)) for x in (0.0, 1.0)
    )
    changed = np.flatnonzero(first.params != other.params)
    assert len(changed) == 2
    assert np.array_equal(other.params[changed], other.named(other.params)["policy/log_std"])


def test_the_distributions_log_std_is_the_models():
    model = ActorCritic(3, BOX, PPOConfig(shared_sizes=(4,)), np.random.default_rng(0))
    for pi in (model.distribution(7), model.activations(3).distribution):
        for flat, view in ((model.params, pi.log_std), (model.grads, pi.dlog_std)):
            assert np.shares_memory(flat, view)
            model.named(flat)["policy/log_std"][:] = [3, 4]
            assert view.tolist() == [3, 4]
    assert model.distribution(7).actions.shape == (7, 2)


@every_head
def test_a_minibatch_has_room_for_the_actions(head):
    model = ActorCritic(3, head, NETWORK, np.random.default_rng(0))
    actions, activations = model.minibatch(6).actions, model.activations(6)
    assert actions.shape == activations.distribution.actions.shape
    assert actions.dtype == activations.distribution.actions.dtype
    assert not np.shares_memory(actions, activations.distribution.actions)
    assert activations.policy_outputs.shape == activations.dpolicy_outputs.shape == (6, head.outputs)
    assert actions.shape == ((6,) if head.kind is Categorical else (6, len(head.sizes)))


def test_initial_weights_are_orthogonal_with_the_right_gains():
    config = PPOConfig(shared_sizes=(16,), policy_sizes=(12,), value_sizes=(20,))
    tensors = (lambda m: m.named(m.params))(ActorCritic(6, discrete(3), config, np.random.default_rng(0), np.float64))
    gains = {"policy/head/weight": 0.01, "value/head/weight": 1.0}
    for name, tensor in tensors.items():
        if name.endswith("bias"):
            assert not tensor.any()
        else:
            tall = tensor if tensor.shape[0] >= tensor.shape[1] else tensor.T
            expected = gains.get(name, math.sqrt(2)) ** 2 * np.eye(tall.shape[1])
            np.testing.assert_allclose(tall.T @ tall, expected, atol=1e-12)


def test_named_tensors_are_views():
    model = ActorCritic(3, discrete(2), PPOConfig(shared_sizes=(4,)), np.random.default_rng(0))
    model.named(model.params)["value/head/bias"][:] = 7
    assert model.params[-1] == 7


def test_seed_decides_the_weights():
    config = PPOConfig(shared_sizes=(4,))
    first, same, other = (ActorCritic(3, discrete(2), config, np.random.default_rng(seed)).params for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@every_head
def test_float32_agrees_with_float64(head):
    rng = np.random.default_rng(1)
    model64, model32 = (
        ActorCritic(3, head, NETWORK, np.random.default_rng(0), dtype) for dtype in (np.float64, np.float32)
    )
    model64.params[:] += 0.3 * rng.standard_normal(model64.params.size)
    model32.params[:] = model64.params
    minibatch64, minibatch32 = model64.minibatch(24), model32.minibatch(24)
    activations64, activations32 = model64.activations(24), model32.activations(24)
    for name in ("obs", "old_logprobs", "old_values", "advantages", "returns"):
        numbers = rng.standard_normal(getattr(minibatch64, name).shape) - (1 if name == "old_logprobs" else 0)
        getattr(minibatch64, name)[:] = getattr(minibatch32, name)[:] = numbers
    for minibatch in (minibatch64, minibatch32):
        normalize(minibatch.advantages, minibatch.advantages)
    model64.forward(minibatch64.obs, activations64)
    activations64.distribution.sample(activations64.policy_outputs, rng)
    minibatch64.actions[:] = minibatch32.actions[:] = activations64.distribution.actions
    terms64 = model64.loss_and_gradient(minibatch64, activations64, NETWORK)
    terms32 = model32.loss_and_gradient(minibatch32, activations32, NETWORK)
    np.testing.assert_allclose(terms32, terms64, rtol=1e-4, atol=1e-6)
    assert np.linalg.norm(model32.grads - model64.grads) < 1e-5 * np.linalg.norm(model64.grads)
