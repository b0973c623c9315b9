"""The kernels of the package with the signatures of the course: they take arrays and return new ones, in float64.

They are what the learner's functions are compared with in lesson 20. `docs/course` derives each of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernels import advantage, bernoulli, categorical, gaussian, initializer, loss, mlp, optimizer
from kernels.activation import activation_number
from kernels.linear import linear_backward_input

Array = np.ndarray
Layers = Sequence[tuple[Array, Array]]


def orthogonal(normals: Array, gain: float, shape: tuple[int, int]) -> Array:
    """Weights of this shape (I, O) from normals (max, min)."""
    weight = np.empty(shape)
    initializer.orthogonal(normals, gain, weight)
    return weight


def mlp_forward(x: Array, layers: Layers, activation: str, activate_last: bool) -> list[Array]:
    """[x, h_1, ..., h_L] for x (B, D)."""
    if not layers:
        return [x]
    weights, biases = zip(*layers, strict=True)
    outputs = tuple(np.empty((len(x), len(bias))) for bias in biases)
    mlp.mlp_forward(x, weights, biases, activation_number(activation), activate_last, outputs)
    return [x, *outputs]


def mlp_backward(
    dy: Array, outputs: Sequence[Array], layers: Layers, activation: str, activate_last: bool
) -> tuple[list[tuple[Array, Array]], Array]:
    """Gradients of the layers, [(dweight, dbias), ...], and of the input, (B, D)."""
    if not layers:
        return [], dy
    weights, biases = zip(*layers, strict=True)
    dweights, dbiases = (tuple(np.empty_like(array) for array in arrays) for arrays in (weights, biases))
    doutputs = (*(np.empty_like(h) for h in outputs[1:-1]), dy.copy())
    number = activation_number(activation)
    mlp.mlp_backward(doutputs, outputs[0], tuple(outputs[1:]), weights, number, activate_last, dweights, dbiases)
    dx = np.empty_like(outputs[0])
    linear_backward_input(doutputs[0], weights[0], dx)
    return list(zip(dweights, dbiases, strict=True)), dx


def actor_critic_forward(
    obs: Array, shared: Layers, policy: Layers, value: Layers, activation: str
) -> tuple[Array, Array, tuple[list[Array], list[Array], list[Array]]]:
    """Logits (B, K), values (B,), and the outputs of the three stacks of layers."""
    trunk = mlp_forward(obs, shared, activation, True)
    policy_outputs = mlp_forward(trunk[-1], policy, activation, False)
    value_outputs = mlp_forward(trunk[-1], value, activation, False)
    return policy_outputs[-1], value_outputs[-1][:, 0], (trunk, policy_outputs, value_outputs)


def actor_critic_backward(
    dlogits: Array, dvalues: Array, outputs: Sequence[Sequence[Array]], shared: Layers, policy: Layers, value: Layers,
    activation: str,
) -> tuple[list[tuple[Array, Array]], ...]:  # fmt: skip
    """Gradients of the three stacks of layers: dshared, dpolicy, dvalue."""
    trunk, policy_outputs, value_outputs = outputs
    dpolicy, dfeatures = mlp_backward(dlogits, policy_outputs, policy, activation, False)
    dvalue, dfeatures_of_value = mlp_backward(dvalues[:, np.newaxis].copy(), value_outputs, value, activation, False)
    dshared, _ = mlp_backward(dfeatures + dfeatures_of_value, trunk, shared, activation, True)
    return dshared, dpolicy, dvalue


def categorical_sample(logits: Array, uniforms: Array) -> tuple[Array, Array]:
    """Actions and their log-probabilities, (B,) each."""
    actions, logprobs = np.empty(len(logits), np.int64), np.empty(len(logits))
    categorical.categorical_sample(logits, uniforms, np.empty_like(logits), actions, logprobs)
    return actions, logprobs


def categorical_forward(logits: Array, actions: Array) -> tuple[Array, Array, Array]:
    """Log-softmax (B, K), log-probabilities of the actions and entropies, (B,) each."""
    results = np.empty_like(logits), np.empty(len(logits)), np.empty(len(logits))
    categorical.categorical_forward(logits, actions, *results)
    return results


def categorical_backward(
    dlogprobs: Array, dentropies: Array, actions: Array, log_probs: Array, entropies: Array
) -> Array:
    """Gradient of the logits, (B, K)."""
    dlogits = np.empty_like(log_probs)
    categorical.categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits)
    return dlogits


def gaussian_forward(means: Array, log_std: Array, actions: Array) -> tuple[Array, Array]:
    """Log-densities and entropies, (B,) each."""
    results = np.empty(len(means)), np.empty(len(means))
    gaussian.gaussian_forward(means, log_std, actions, *results)
    return results


def gaussian_backward(
    dlogprobs: Array, dentropies: Array, means: Array, log_std: Array, actions: Array
) -> tuple[Array, Array]:
    """Gradients of the means (B, A) and of log_std (A,)."""
    results = np.empty_like(means), np.empty_like(log_std)
    gaussian.gaussian_backward(dlogprobs, dentropies, means, log_std, actions, *results)
    return results


def bernoulli_forward(logits: Array, actions: Array) -> tuple[Array, Array]:
    """Log-probabilities and entropies, (B,) each."""
    results = np.empty(len(logits)), np.empty(len(logits))
    bernoulli.bernoulli_forward(logits, actions, *results)
    return results


def bernoulli_backward(dlogprobs: Array, dentropies: Array, logits: Array, actions: Array) -> Array:
    """Gradient of the logits, (B, A)."""
    dlogits = np.empty_like(logits)
    bernoulli.bernoulli_backward(dlogprobs, dentropies, logits, actions, dlogits)
    return dlogits


def ppo_loss(
    logprobs: Array, entropies: Array, values: Array, old_logprobs: Array, old_values: Array, advantages: Array,
    returns: Array, clip_coef: float, ent_coef: float, vf_coef: float, clip_vloss: bool,
) -> float:  # fmt: skip
    """The loss of a minibatch."""
    terms = np.empty(len(loss.LOSS_TERMS))
    loss.ppo_loss_forward(
        logprobs, entropies, values, old_logprobs, old_values, advantages, returns, clip_coef, ent_coef, vf_coef,
        clip_vloss, clip_coef, terms,
    )  # fmt: skip
    return float(terms[0])


def ppo_loss_backward(dloss: float, logprobs: Array, *constants: Any) -> tuple[Array, Array, Array]:
    """Gradients of the log-probabilities, entropies and values, (B,) each; arguments as in the course."""
    results = np.empty(len(logprobs)), np.empty(len(logprobs)), np.empty(len(logprobs))
    clip_coef = constants[5]  # in the course also that of the value
    loss.ppo_loss_backward(dloss, logprobs, *constants, clip_coef, *results)
    return results


def gae(
    rewards: Array, values: Array, final_values: Array, terminations: Array, truncations: Array, gamma: float,
    gae_lambda: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Advantages and returns, (T, N) each."""
    results = np.empty_like(rewards), np.empty_like(rewards)
    advantage.gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda, *results)
    return results


def normalize(advantages: Array) -> Array:
    """Advantages with mean 0 and standard deviation 1, (B,)."""
    normalized = np.empty_like(advantages)
    advantage.normalize(advantages, normalized)
    return normalized


def minibatches(num_rows: int, num_minibatches: int, rng: np.random.Generator) -> list[Array]:
    """The rows of each minibatch of one epoch."""
    return np.array_split(rng.permutation(num_rows), num_minibatches)


def clip_by_global_norm(grads: Sequence[Array], max_norm: float) -> list[Array]:
    """The gradients of all tensors, scaled down together."""
    flat = np.concatenate([grad.reshape(-1) for grad in grads])
    optimizer.clip_by_global_norm(flat, optimizer.global_norm(flat), max_norm)
    parts = np.split(flat, np.cumsum([grad.size for grad in grads])[:-1])
    return [part.reshape(grad.shape) for part, grad in zip(parts, grads, strict=True)]


def adam(
    params: Array, grads: Array, m: Array, v: Array, step: int, learning_rate: float, beta1: float, beta2: float,
    eps: float,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The parameters and both moments after one step, (P,) each."""
    results = params.copy(), m.copy(), v.copy()
    optimizer.adam(results[0], grads, *results[1:], step, learning_rate, beta1, beta2, eps)
    return results


def multi_categorical_forward(logits: Array, actions: Array, sizes: Sequence[int]) -> tuple[Array, Array]:
    """Log-probabilities and entropies of S choices together, (B,) each."""
    parts = zip(_columns(logits, sizes), actions.T, strict=True)
    results = np.array([categorical_forward(part, np.ascontiguousarray(choice))[1:] for part, choice in parts])
    logprobs, entropies = results.sum(axis=0)
    return logprobs, entropies


def multi_categorical_backward(
    dlogprobs: Array, dentropies: Array, logits: Array, actions: Array, sizes: Sequence[int]
) -> Array:
    """Gradient of the logits of S choices, (B, sum of sizes)."""
    parts = []
    for part, choice in zip(_columns(logits, sizes), map(np.ascontiguousarray, actions.T), strict=True):
        log_probs, _, entropies = categorical_forward(part, choice)
        parts.append(categorical_backward(dlogprobs, dentropies, choice, log_probs, entropies))
    return np.concatenate(parts, axis=1)


def _columns(logits: Array, sizes: Sequence[int]) -> list[Array]:
    return [np.ascontiguousarray(part) for part in np.split(logits, np.cumsum(sizes)[:-1], axis=1)]


KERNEL_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        orthogonal, mlp_forward, mlp_backward, actor_critic_forward, actor_critic_backward, categorical_sample,
        categorical_forward, categorical_backward, gaussian_forward, gaussian_backward, bernoulli_forward,
        bernoulli_backward, multi_categorical_forward, multi_categorical_backward, ppo_loss, ppo_loss_backward, gae,
        normalize, minibatches, clip_by_global_norm, adam,
    )
}  # fmt: skip
