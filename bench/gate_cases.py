"""What the gate looks at: kernels, a whole minibatch and an acting step, each beside plain NumPy, all in float32.

`CASES[name]()` makes a case anew. Arguments are chosen so that thousands of calls on the same arrays neither grow nor
fade: subnormal numbers would be slow, and slow in another way for each side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from bench_activation import numpy_relu_backward, numpy_relu_forward, numpy_tanh_backward, numpy_tanh_forward
from bench_advantage import numpy_gae, numpy_normalize
from bench_categorical import numpy_categorical_backward, numpy_categorical_forward, numpy_categorical_sample
from bench_gaussian import numpy_gaussian_backward, numpy_gaussian_forward
from bench_linear import numpy_linear_backward_input, numpy_linear_backward_parameters, numpy_linear_forward
from bench_loss import CLIP_COEF, CLIP_VLOSS, ENT_COEF, VF_COEF, numpy_ppo_loss_backward, numpy_ppo_loss_forward
from bench_moments import numpy_standardize
from bench_optimizer import numpy_adam, numpy_global_norm
from numpy_network import NumpyActorCritic

import kernels
from ppo_np import PPOConfig
from ppo_np.distributions import discrete
from ppo_np.model import ActorCritic
from ppo_np.stream import LARGEST

COEFS = CLIP_COEF, ENT_COEF, VF_COEF, CLIP_VLOSS
NETWORK = PPOConfig(shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64), activation="tanh")
OBS_SIZE, CHOICES = 8, 4


@dataclass(frozen=True)
class Case:
    """A kernel (or what is made of kernels), NumPy's version, and what both are called with, each on its own copy."""

    ours: Callable[..., Any]
    numpy_version: Callable[..., Any]
    arguments: tuple


def normal(*shape: int) -> np.ndarray:
    """Standard normal numbers, the same at every call."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def integers(below: int, rows: int) -> np.ndarray:
    """Random integers, the same at every call."""
    return np.random.default_rng(0).integers(below, size=rows)


def linear_forward(b: int, i: int, o: int) -> Case:
    """B rows through a layer of I inputs and O outputs."""
    return Case(kernels.linear_forward, numpy_linear_forward, (normal(b, i), normal(i, o), normal(o), normal(b, o)))


def linear_backward_parameters(b: int, i: int, o: int) -> Case:
    """The gradient by a layer's weights and biases."""
    arrays = normal(b, o), normal(b, i), normal(i, o), normal(o)
    return Case(kernels.linear_backward_parameters, numpy_linear_backward_parameters, arrays)


def linear_backward_input(b: int, i: int, o: int) -> Case:
    """The gradient by a layer's inputs."""
    return Case(kernels.linear_backward_input, numpy_linear_backward_input, (normal(b, o), normal(i, o), normal(b, i)))


def relu_forward(b: int, o: int) -> Case:
    """In place: from the second call on, nothing changes."""
    return Case(kernels.relu_forward, numpy_relu_forward, (normal(b, o),))


def relu_backward(b: int, o: int) -> Case:
    """In place, where the slope is 1."""
    return Case(kernels.relu_backward, numpy_relu_backward, (normal(b, o), np.ones((b, o), np.float32)))


def tanh_forward(b: int, o: int) -> Case:
    """In place: the numbers get smaller, but with the root of the calls only."""
    return Case(kernels.tanh_forward, numpy_tanh_forward, (normal(b, o),))


def tanh_backward(b: int, o: int) -> Case:
    """In place, where the slope is 1."""
    return Case(kernels.tanh_backward, numpy_tanh_backward, (normal(b, o), np.zeros((b, o), np.float32)))


def categorical_sample(b: int, k: int) -> Case:
    """B rows of K logits."""
    drawn = np.random.default_rng(0).random(b), normal(b, k), integers(k, b), normal(b)
    return Case(kernels.categorical_sample, numpy_categorical_sample, (normal(b, k), *drawn))


def categorical_forward(b: int, k: int) -> Case:
    """B rows of K logits."""
    outputs = normal(b, k), normal(b), normal(b)
    return Case(kernels.categorical_forward, numpy_categorical_forward, (normal(b, k), integers(k, b), *outputs))


def categorical_backward(b: int, k: int) -> Case:
    """B rows of K logits."""
    log_probs = np.log(np.full((b, k), 1 / k, np.float32))
    arrays = normal(b), normal(b), integers(k, b), log_probs, normal(b), normal(b, k)
    return Case(kernels.categorical_backward, numpy_categorical_backward, arrays)


def gaussian_forward(b: int, a: int) -> Case:
    """B rows of A components."""
    arrays = normal(b, a), normal(a), normal(b, a) + 1, normal(b), normal(b)
    return Case(kernels.gaussian_forward, numpy_gaussian_forward, arrays)


def gaussian_backward(b: int, a: int) -> Case:
    """B rows of A components."""
    arrays = normal(b), normal(b), normal(b, a), normal(a), normal(b, a) + 1, normal(b, a), normal(a)
    return Case(kernels.gaussian_backward, numpy_gaussian_backward, arrays)


def loss_rows(b: int) -> tuple[np.ndarray, ...]:
    """Log-probabilities and values, the old ones, advantages, returns; about half of the rows leave each clip range."""
    logprobs, values, advantages, returns, shift = normal(5, b)
    return logprobs, values, logprobs + 0.3 * shift, values - 0.3 * shift, advantages, returns


def ppo_loss_forward(b: int) -> Case:
    """A minibatch of B rows."""
    logprobs, *others = loss_rows(b)
    arguments = logprobs, normal(b), *others, *COEFS, np.zeros(len(kernels.LOSS_TERMS))
    return Case(kernels.ppo_loss_forward, numpy_ppo_loss_forward, arguments)


def ppo_loss_backward(b: int) -> Case:
    """A minibatch of B rows."""
    arguments = 1.0, *loss_rows(b), *COEFS, normal(b), normal(b), normal(b)
    return Case(kernels.ppo_loss_backward, numpy_ppo_loss_backward, arguments)


def gae(t: int, n: int) -> Case:
    """T steps of N environments."""
    terminations, truncations = np.random.default_rng(0).random((2, t, n)) < 0.02
    arrays = normal(t, n), normal(t + 1, n), normal(t, n), terminations, truncations
    return Case(kernels.gae, numpy_gae, (*arrays, 0.99, 0.95, normal(t, n), normal(t, n)))


def normalize(b: int) -> Case:
    """The advantages of a minibatch of B rows."""
    return Case(kernels.normalize, numpy_normalize, (normal(b), normal(b)))


def standardize(b: int, d: int) -> Case:
    """B observations of size D."""
    arrays = normal(b, d), np.zeros(d), np.ones(d), 10.0, normal(b, d)
    return Case(kernels.standardize, numpy_standardize, arrays)


def global_norm(p: int) -> Case:
    """Of P parameters' gradient."""
    return Case(kernels.global_norm, numpy_global_norm, (normal(p),))


def adam(p: int) -> Case:
    """A step of P parameters, so small that they stay where they are."""
    params, grads, m, v = normal(4, p)
    numpy_version = partial(numpy_adam, scratch=np.empty_like(params))
    return Case(kernels.adam, numpy_version, (params, grads, m, np.abs(v), 10, 1e-30, 0.9, 0.999, 1e-5))


def network() -> ActorCritic:
    """Two separate 2 x 64 tanh networks for LunarLander's 8 numbers and 4 actions."""
    return ActorCritic(OBS_SIZE, discrete(CHOICES), NETWORK, np.random.default_rng(0))


def minibatch(b: int) -> Case:
    """Forward pass, loss, backward pass, clipping and Adam over B rows; the parameters stay where they are."""
    model = network()
    batch, m, v = model.batch(b), np.zeros_like(model.params), np.zeros_like(model.params)
    plain = NumpyActorCritic(model)
    batch.obs[:], batch.actions[:] = normal(b, OBS_SIZE), integers(CHOICES, b)
    _, batch.old_values[:], _, _, batch.advantages[:], batch.returns[:] = loss_rows(b)
    batch.old_logprobs[:] = np.log(1 / CHOICES) + 0.2 * normal(b)

    def ours():
        model.loss_and_gradient(batch, NETWORK)
        kernels.clip_by_global_norm(model.grads, kernels.global_norm(model.grads), NETWORK.max_grad_norm)
        betas = NETWORK.adam_beta1, NETWORK.adam_beta2
        kernels.adam(model.params, model.grads, m, v, 1, 0.0, *betas, NETWORK.adam_eps)
        return batch.terms, model.grads

    def numpys():
        plain.optimize(batch, NETWORK, m, v, 0.0)
        return batch.terms, model.grads

    return Case(ours, numpys, ())


def act(n: int) -> Case:
    """One step of N environments: run the network, draw actions."""
    model, rng = network(), np.random.default_rng(0)
    batch, plain = model.batch(n), NumpyActorCritic(model)
    batch.obs[:] = normal(n, OBS_SIZE)

    def ours():
        model.act(batch.obs, LARGEST, batch)
        batch.distribution.sample(batch.pi_out, rng)
        return batch.pi_out, batch.values

    def numpys():
        plain.act(batch, rng)
        return batch.pi_out, batch.values

    return Case(ours, numpys, ())


SHAPES = (
    (linear_forward, 4, 64, 64), (linear_forward, 128, 64, 64), (linear_forward, 128, 1024, 1024),
    (linear_backward_parameters, 128, 64, 64), (linear_backward_parameters, 128, 1024, 1024),
    (linear_backward_input, 128, 64, 64), (linear_backward_input, 128, 1024, 1024),
    (relu_forward, 128, 1024), (relu_backward, 128, 64), (tanh_forward, 4, 64), (tanh_forward, 128, 64),
    (tanh_backward, 128, 64), (categorical_sample, 4, 4), (categorical_forward, 128, 4),
    (categorical_backward, 128, 4), (gaussian_forward, 128, 4), (gaussian_backward, 128, 4), (ppo_loss_forward, 128),
    (ppo_loss_backward, 128), (gae, 128, 4), (normalize, 128), (standardize, 64, 8), (global_norm, 9797),
    (adam, 9797), (minibatch, 128), (act, 4),
)  # fmt: skip
CASES = {f"{make.__name__} {'x'.join(map(str, shape))}": partial(make, *shape) for make, *shape in SHAPES}
