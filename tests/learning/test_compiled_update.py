"""Minibatches in one kernel call: the run is that of the loop in `PPO._update`, bit for bit."""

from dataclasses import fields

import numpy as np
import pytest

from kernels._jit import COMPILED
from ppo_np import PPO, DivergedError, PPOConfig
from ppo_np.learning.metrics import Metrics, MinibatchLosses
from ppo_np.network import blocks, distributions
from ppo_np.network.model import ActorCritic
from ppo_np.network.optimizer import Adam

pytestmark = pytest.mark.skipif(not COMPILED, reason="without the JIT the loop does it all")

SMALL = {
    "env_id": "CartPole-v1", "num_envs": 4, "num_steps": 16, "num_minibatches": 4, "update_epochs": 2,
    "total_timesteps": 192, "shared_sizes": (), "policy_sizes": (8, 6), "value_sizes": (10,), "activation": "tanh",
    "vectorization": "compiled", "seed": 5, "threads": 1,
}  # fmt: skip
ENVS = "CartPole-v1", "Pendulum-v1"
NAMES = [field.name for field in fields(Metrics) if "time" not in field.name and field.name != "SPS"]


def trained(loop, **settings):
    """A PPO after its training, by the loop or by the kernel, and its metrics without times."""
    ppo, rows = PPO(PPOConfig(**SMALL | settings)), []
    assert ppo._compiled
    if loop:
        ppo._compiled = None
    ppo.learn(lambda _, metrics: rows.append(metrics))
    ppo.envs.close()  # the threads are needed again
    return ppo, [[getattr(row, name) for name in NAMES] for row in rows]


def assert_same(ours, theirs):
    for name, array in ours.state.flats().items():
        np.testing.assert_array_equal(array, theirs.state.flats()[name], err_msg=name)
    np.testing.assert_array_equal(ours.policy.model.params, theirs.policy.model.params)
    assert ours.state.optimizer.steps == theirs.state.optimizer.steps
    assert ours.state.rng_states() == theirs.state.rng_states()


@pytest.mark.parametrize("env_id", ENVS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation": "relu", "norm_adv": False, "clip_vloss": False, "anneal_lr": False},
        {"norm_obs": True, "max_grad_norm": 0.01, "value_clip_coef": 0.01, "clip_coef": 0.02, "ent_coef": 0.3},
        {"target_kl": 1e-5, "learning_rate": 1e-2, "num_minibatches": 1},
        {"policy_sizes": (), "value_sizes": ()},
        {"max_grad_norm_value": 0.1, "max_grad_norm": 0.01, "threads": 1},
        {"max_grad_norm_value": 0.1, "max_grad_norm": 0.01, "threads": 2, "value_learning_rate": 1e-2},
    ],
    ids=["tanh", "relu", "clipped", "kl", "linear", "in two", "on two threads"],
)
def test_the_numbers_of_the_loop(env_id, settings):
    ours, rows = trained(False, env_id=env_id, **settings)
    theirs, their_rows = trained(True, env_id=env_id, **settings)
    assert_same(ours, theirs)
    if "max_grad_norm_value" in settings:  # policy and value have a norm each
        own_norms, their_norms = ([row.pop(NAMES.index("grad_norm")) for row in some] for some in (rows, their_rows))
        np.testing.assert_allclose(own_norms, their_norms, rtol=1e-15)
    np.testing.assert_array_equal(rows, their_rows)
    assert len(rows) == 3


@pytest.mark.parametrize("env_id", ENVS)
@pytest.mark.parametrize("num_minibatches", [1, 2, 3])
@pytest.mark.parametrize("max_grad_norm_value", [None, 0.5])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_minibatches_of_several_blocks(env_id, num_minibatches, max_grad_norm_value, threads):
    """1,152 rows in all."""
    settings = {"num_steps": 288, "total_timesteps": 1152, "num_minibatches": num_minibatches, "threads": threads}
    settings["max_grad_norm_value"] = max_grad_norm_value
    assert len(blocks.blocks_of(1152 // num_minibatches)) == {1: 5, 2: 2, 3: 2}[num_minibatches]
    assert_same(trained(False, env_id=env_id, **settings)[0], trained(True, env_id=env_id, **settings)[0])


def minibatches_done(ppo):
    """How many of the minibatches of an epoch the kernel does with the rollout that `ppo` has."""
    minibatches = ppo._epochs(ppo.config)[0]
    return ppo._compiled.do(minibatches, ppo.config, MinibatchLosses()), minibatches


THREADS = {
    "one thread": {},
    "in two": {"max_grad_norm_value": 0.5},
    "in blocks": {"threads": 2, "num_steps": 1024, "total_timesteps": 4 * 1024},
}


@pytest.mark.parametrize("name", ["obs", "advantages", "returns", "values", "logprobs"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("how", THREADS)
def test_it_stops_before_the_first_minibatch_with_a_number_that_is_not_finite(name, value, how):
    ppo, _ = trained(False, norm_adv=False, **THREADS[how])
    state, buffer = ppo.state.rngs["minibatch_rng"].bit_generator.state, ppo._buffer
    minibatches = ppo._epochs(ppo.config)[0]
    ppo.state.rngs["minibatch_rng"].bit_generator.state = state
    step, env = divmod(minibatches[2].indices[5], 4)
    getattr(buffer, name)[step, env] = np.nan if name == "obs" else value
    steps = ppo.state.optimizer.steps
    assert minibatches_done(ppo)[0] == 2
    assert ppo.state.optimizer.steps == steps + 2


@pytest.mark.parametrize("how", [*THREADS, "on two threads"])
def test_a_run_that_diverges_ends_as_with_the_loop(monkeypatch, how):
    settings = THREADS.get(how) or {"max_grad_norm_value": 0.5, "threads": 2}

    def end(loop):
        ppo = PPO(PPOConfig(**SMALL | {"norm_adv": False} | settings))
        if loop:
            ppo._compiled = None
        advantages = ppo._buffer.compute_advantages
        monkeypatch.setattr(ppo._buffer, "compute_advantages", lambda *a: (advantages(*a), spoil(ppo._buffer)))
        with pytest.raises(DivergedError) as error:
            ppo.learn()
        return ppo, str(error.value), error.value.crash

    def spoil(buffer):
        buffer.returns[7, 2] = np.inf

    (ours, text, crash), (theirs, their_text, their_crash) = end(False), end(True)
    assert text == their_text
    assert_same(ours, theirs)
    assert all(map(np.array_equal, crash.arrays.values(), their_crash.arrays.values()))


@pytest.mark.parametrize("max_grad_norm_value", [None, 1e30])
def test_a_gradient_that_is_too_large_is_left_to_the_loop(max_grad_norm_value):
    ppo, _ = trained(False, max_grad_norm=1e30, max_grad_norm_value=max_grad_norm_value)
    assert minibatches_done(ppo)[0] == 4
    ppo._buffer.returns[:] = 1e22
    assert minibatches_done(ppo)[0] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("max_grad_norm_value", [None, 0.5])
def test_a_gradient_that_is_not_finite_while_the_loss_is_leaves_everything_to_the_loop(bad, max_grad_norm_value):
    ppo, _ = trained(False, max_grad_norm_value=max_grad_norm_value)
    model = ppo.policy.model
    tensors = model.named(model.params)
    tensors["value/0/weight"][:], tensors["value/0/bias"][:], tensors["value/head/weight"][:] = 0, 0, 1e38
    ppo._buffer.returns[:] = 1e3
    ppo._buffer.obs[:] = 1
    if np.isnan(bad):  # infinite - infinite
        ppo._buffer.obs[:, ::2] = -1
    before = model.params.copy(), ppo.state.optimizer.steps
    assert minibatches_done(ppo)[0] == 0
    np.testing.assert_array_equal(model.params, before[0])
    assert ppo.state.optimizer.steps == before[1]


REPLACED = [
    (distributions, "categorical_backward"),
    (ActorCritic, "loss_and_gradient"),
    (ActorCritic, "backward"),
    (Adam, "step"),
]


@pytest.mark.parametrize(("where", "name"), REPLACED, ids=[name for _, name in REPLACED])
def test_what_was_replaced_is_used(monkeypatch, where, name):
    ppo, _ = trained(False)
    assert minibatches_done(ppo)[0] == 4
    original = getattr(where, name)
    monkeypatch.setattr(where, name, lambda *arguments: original(*arguments))
    assert minibatches_done(ppo)[0] == 0


def test_a_learning_rate_of_the_value_alone_is_left_to_the_loop():
    assert minibatches_done(trained(False, value_learning_rate=1e-3)[0])[0] == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"shared_sizes": (8,)},
        {"env_id": "Pendulum-v1", "action_distribution": "beta"},
    ],
    ids=str,
)
def test_what_the_kernel_does_not_know(settings):
    ppo = PPO(PPOConfig(**SMALL | settings))
    assert ppo._compiled is None
    ppo.close()
