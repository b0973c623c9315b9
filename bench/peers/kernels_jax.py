"""Kernels in JAX, compiled, with the kernels' names and arguments; they return what the kernel writes (`WRITTEN`)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

# Handing the work to another thread and waiting for it costs more than these calls do.
jax.config.update("jax_cpu_enable_async_dispatch", False)

# The arguments that a kernel writes, by position, in the order in which the version returns them.
WRITTEN = {
    "linear_forward": (3,), "linear_backward_parameters": (2, 3), "linear_backward_input": (2,),
    "relu_forward": (0,), "relu_backward": (0,), "tanh_forward": (0,), "tanh_backward": (0,),
    "log_softmax": (1,), "categorical_forward": (2, 3, 4), "categorical_backward": (5,),
    "ppo_loss_forward": (11,), "gae": (7, 8), "normalize": (1,), "clip_by_global_norm": (0,), "adam": (0, 2, 3),
}  # fmt: skip


def bound(version: Callable, arguments: tuple) -> Callable[[], object]:
    """A call of the compiled version; arrays are its arguments, scalars its constants. Waits for the result."""
    places = [i for i, one in enumerate(arguments) if isinstance(one, np.ndarray)]
    own = [jax.device_put(_narrow(arguments[i])) for i in places]

    @jax.jit
    def compiled(*arrays):
        filled = list(arguments)
        for i, array in zip(places, arrays, strict=True):
            filled[i] = array
        return version(*filled)

    return lambda: jax.block_until_ready(compiled(*own))


def _narrow(array: np.ndarray) -> np.ndarray:
    """JAX's own widths, 32 bits."""
    return array.astype({"f": np.float32, "i": np.int32}.get(array.dtype.kind, array.dtype))


def linear_forward(x, weight, bias, y):
    return (x @ weight + bias,)


def linear_backward_parameters(dy, x, dweight, dbias):
    return x.T @ dy, dy.sum(axis=0)


def linear_backward_input(dy, weight, dx):
    return (dy @ weight.T,)


def relu_forward(h):
    return (jnp.maximum(h, 0),)


def relu_backward(dh, h):
    return (jnp.where(h > 0, dh, 0),)


def tanh_forward(h):
    return (jnp.tanh(h),)


def tanh_backward(dh, h):
    return (dh * (1 - h * h),)


def log_softmax(logits, log_probs):
    return (jax.nn.log_softmax(logits),)


def categorical_forward(logits, actions, log_probs, logprobs, entropies):
    log_probs = jax.nn.log_softmax(logits)
    logprobs = jnp.take_along_axis(log_probs, actions[:, None], axis=1)[:, 0]
    return log_probs, logprobs, -(jnp.exp(log_probs) * log_probs).sum(axis=1)


def categorical_backward(dlogprobs, dentropies, actions, log_probs, entropies, dlogits):
    columns = dlogprobs[:, None] + dentropies[:, None] * (log_probs + entropies[:, None])
    chosen = jax.nn.one_hot(actions, log_probs.shape[1])
    return (dlogprobs[:, None] * chosen - jnp.exp(log_probs) * columns,)


def ppo_loss_forward(
    logprobs, entropies, values, old_logprobs, old_values, advantages, returns,
    clip_coef, ent_coef, vf_coef, clip_vloss, terms=None,
):  # fmt: skip
    """The six terms in one array."""
    log_ratio = logprobs - old_logprobs
    ratio = jnp.exp(log_ratio)
    clipped_ratio = jnp.clip(ratio, 1 - clip_coef, 1 + clip_coef)
    policy_loss = -jnp.minimum(advantages * ratio, advantages * clipped_ratio).mean()
    squares = (values - returns) ** 2
    if clip_vloss:
        clipped_values = old_values + jnp.clip(values - old_values, -clip_coef, clip_coef)
        squares = jnp.maximum(squares, (clipped_values - returns) ** 2)
    value_loss, entropy = 0.5 * squares.mean(), entropies.mean()
    loss = policy_loss - ent_coef * entropy + vf_coef * value_loss
    approx_kl, clipfrac = (ratio - 1 - log_ratio).mean(), (jnp.abs(ratio - 1) > clip_coef).mean()
    return (jnp.stack([loss, policy_loss, value_loss, entropy, approx_kl, clipfrac]),)


def gae(rewards, values, final_values, terminations, truncations, gamma, gae_lambda, advantages, returns):
    """A scan from the last step to the first."""
    dones = terminations | truncations
    next_values = jnp.where(terminations, 0, jnp.where(truncations, final_values, values[1:]))
    deltas = rewards + gamma * next_values - values[:-1]

    def back(advantage, step):
        delta, done = step
        advantage = delta + gamma * gae_lambda * jnp.where(done, 0, advantage)
        return advantage, advantage

    _, found = jax.lax.scan(back, jnp.zeros_like(deltas[0]), (deltas, dones), reverse=True)
    return found, found + values[:-1]


def normalize(advantages, normalized=None):
    return ((advantages - advantages.mean()) / (advantages.std() + 1e-8),)


def global_norm(grads):
    return jnp.sqrt((grads * grads).sum())


def clip_by_global_norm(grads, norm, max_norm):
    return (grads * jnp.minimum(1.0, max_norm / norm),)


def adam(params, grads, m, v, step, learning_rate, beta1, beta2, eps):
    m, v = beta1 * m + (1 - beta1) * grads, beta2 * v + (1 - beta2) * grads * grads
    update = m / (jnp.sqrt(v / (1 - beta2**step)) + eps)
    return params - learning_rate / (1 - beta1**step) * update, m, v
