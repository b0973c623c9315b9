"""docs/course/plain_ppo.py, PPO in one file, is the same algorithm as the package."""

import dataclasses
import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest
from conftest import needs_jit
from distributed.small_runs import conditions
from threadpoolctl import threadpool_limits

from kernels import advantage, categorical, initializer, loss, mlp, optimizer
from kernels.activation import TANH
from ppo_np import PPO, PPOConfig
from ppo_np.network.model import ActorCritic

PATH = Path(__file__).parents[1] / "docs" / "course" / "plain_ppo.py"
UPDATES = 10
CONFIGS = {
    "CartPole": PPOConfig.preset("cartpole"),
    "LunarLander": dataclasses.replace(  # the file does not normalise rewards
        PPOConfig.preset("lunarlander"), num_envs=8, num_minibatches=4, clip_vloss=True, norm_reward=False
    ),
}


@pytest.fixture
def plain():
    spec = importlib.util.spec_from_file_location("plain_ppo", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of_ten_updates(config):
    return dataclasses.replace(config, total_timesteps=UPDATES * config.batch_size)


def parameters(config, dtype):
    """After each update of the package."""
    history = []
    with conditions("", dtype):
        ppo = PPO(config)
        ppo.learn(lambda ppo, _: history.append(ppo.policy.model.params.copy())).close()
    return history


def plain_parameters(plain, config):
    history = []
    names = inspect.signature(plain.train).parameters.keys() - {"callback"}
    settings = {name: getattr(config, name) for name in names}
    with threadpool_limits(1):  # several threads wait for each other while other tests run
        plain.train(**settings, callback=lambda _, params: history.append(params.copy()))
    return history


def plug_in_kernels(plain, monkeypatch):
    """Replace the functions of the file by kernels, which write into arrays that they are given."""

    def empty(*shapes):
        return [np.empty(shape, np.float32) for shape in shapes]

    def orthogonal(rng, gain, shape):
        (weight,) = empty(shape)
        initializer.orthogonal(rng.standard_normal((max(shape), min(shape))), gain, weight)
        return weight

    def mlp_forward(x, layers):
        weights, biases = zip(*layers, strict=True)
        outputs = tuple(empty(*((len(x), len(bias)) for bias in biases)))
        mlp.mlp_forward(x, weights, biases, TANH, False, outputs)
        return [x, *outputs]

    def mlp_backward(dy, outputs, layers, dlayers):
        doutputs = (*empty(*(output.shape for output in outputs[1:-1])), np.ascontiguousarray(dy))
        weights, _ = zip(*layers, strict=True)
        mlp.mlp_backward(doutputs, outputs[0], tuple(outputs[1:]), weights, TANH, False, *zip(*dlayers, strict=True))

    def categorical_sample(logits, uniforms):
        log_probs, logprobs = empty(logits.shape, len(logits))
        actions = np.empty(len(logits), np.int64)
        categorical.categorical_sample(logits, uniforms, log_probs, actions, logprobs)
        return actions, logprobs

    def categorical_forward(logits, actions):
        outputs = empty(logits.shape, len(logits), len(logits))
        categorical.categorical_forward(logits, actions, *outputs)
        return outputs

    def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies):
        (dlogits,) = empty(log_probs.shape)
        categorical.categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits)
        return dlogits

    def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda):
        outputs = empty(rewards.shape, rewards.shape)
        advantage.gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda, *outputs)
        return outputs

    def normalize(advantages):
        (normalized,) = empty(len(advantages))
        advantage.normalize(advantages, normalized)
        return normalized

    def ppo_loss_backward(logprobs, values, *constants):
        *arrays, clip_coef, clip_vloss, ent_coef, vf_coef = constants
        outputs = empty(*3 * [len(logprobs)])
        coefficients = clip_coef, ent_coef, vf_coef, clip_vloss, clip_coef
        loss.ppo_loss_backward(1.0, logprobs, np.ascontiguousarray(values), *arrays, *coefficients, *outputs)
        return outputs

    def clip_by_global_norm(grads, max_norm):
        optimizer.clip_by_global_norm(grads, optimizer.global_norm(grads), max_norm)

    def adam(params, grads, m, v, step, learning_rate, beta1=0.9, beta2=0.999, eps=1e-5):
        optimizer.adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps)

    kernels = {name: value for name, value in locals().items() if hasattr(plain, name)}
    assert kernels.keys() == {
        "orthogonal", "mlp_forward", "mlp_backward", "categorical_sample", "categorical_forward",
        "categorical_backward", "gae", "normalize", "ppo_loss_backward", "clip_by_global_norm", "adam",
    }  # fmt: skip
    for name, value in kernels.items():
        monkeypatch.setattr(plain, name, value)
    monkeypatch.setattr(plain, "DTYPE", np.float32)


@pytest.mark.parametrize("name", CONFIGS)
def test_in_float64_it_is_the_package_up_to_rounding(plain, name):
    config = of_ten_updates(CONFIGS[name])
    ours, theirs = parameters(config, np.float64), plain_parameters(plain, config)
    assert len(ours) == len(theirs) == UPDATES
    for update in range(UPDATES):
        np.testing.assert_allclose(theirs[update], ours[update], rtol=0, atol=1e-9, err_msg=f"update {update + 1}")


@needs_jit
@pytest.mark.parametrize("name", CONFIGS)
def test_with_the_kernels_it_is_the_package_bit_for_bit(plain, monkeypatch, name):
    config = of_ten_updates(CONFIGS[name])
    plug_in_kernels(plain, monkeypatch)
    monkeypatch.setattr(ActorCritic, "separate", False)  # values in each step, as there: others in the last bits
    for ours, theirs in zip(parameters(config, np.float32), plain_parameters(plain, config), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_it_is_short():
    assert len(PATH.read_text().splitlines()) <= 200
