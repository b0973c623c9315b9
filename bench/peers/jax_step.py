"""One minibatch in plain JAX, compiled into one program: forward pass, loss, backward pass, clipping, Adam."""

from typing import NoReturn

import jax
import jax.numpy as jnp

from bench.peers.protocol import Clock, Job, perform
from bench.peers.rows import NUM_ACTIONS, OBS_SIZE, random_rows, repeat

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}
BETA1, BETA2, EPS = 0.9, 0.999, 1e-5
orthogonal = jax.nn.initializers.orthogonal


def initial_parameters(job: Job) -> dict[str, list]:
    """Weights and biases of the shared layers, the policy's and the value's; heads last."""
    features = job.shared_sizes[-1] if job.shared_sizes else OBS_SIZE
    stacks = {
        "shared": (OBS_SIZE, job.shared_sizes, None),
        "policy": (features, (*job.policy_sizes, NUM_ACTIONS), 0.01),
        "value": (features, (*job.value_sizes, 1), 1.0),
    }
    parameters, key = {name: [] for name in stacks}, jax.random.PRNGKey(job.seed)
    for name, (fan_in, widths, head_gain) in stacks.items():
        for layer, width in enumerate(widths):
            key, own = jax.random.split(key)
            gain = head_gain if head_gain and layer == len(widths) - 1 else 2**0.5
            parameters[name].append((orthogonal(gain)(own, (fan_in, width)), jnp.zeros(width)))
            fan_in = width
    return parameters


def _stack(layers: list, h, activation, activate_last: bool):
    for layer, (weight, bias) in enumerate(layers):
        h = h @ weight + bias
        if activate_last or layer < len(layers) - 1:
            h = activation(h)
    return h


def _loss(parameters: dict, rows: dict, job: Job):
    activation = ACTIVATIONS[job.activation]
    features = _stack(parameters["shared"], rows["obs"], activation, True)
    log_probs = jax.nn.log_softmax(_stack(parameters["policy"], features, activation, False))
    values = _stack(parameters["value"], features, activation, False)[:, 0]
    log_ratio = jnp.take_along_axis(log_probs, rows["actions"][:, None], axis=1)[:, 0] - rows["old_logprobs"]
    ratio = jnp.exp(log_ratio)
    advantages = rows["advantages"]
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    clipped_ratio = jnp.clip(ratio, 1 - job.clip_coef, 1 + job.clip_coef)
    policy_loss = -jnp.minimum(advantages * ratio, advantages * clipped_ratio).mean()
    moved = jnp.clip(values - rows["old_values"], -job.clip_coef, job.clip_coef)
    clipped_errors = (rows["old_values"] + moved - rows["returns"]) ** 2
    value_loss = 0.5 * jnp.maximum((values - rows["returns"]) ** 2, clipped_errors).mean()
    entropy = -(jnp.exp(log_probs) * log_probs).sum(axis=1).mean()
    kl, clipfrac = (ratio - 1 - log_ratio).mean(), (jnp.abs(ratio - 1) > job.clip_coef).mean()
    loss = policy_loss - job.ent_coef * entropy + job.vf_coef * value_loss
    return loss, (policy_loss, value_loss, entropy, kl, clipfrac)


def make_step(job: Job):
    """A function (state, rows) -> (state, terms), to be compiled; state is (parameters, m, v, steps done)."""

    def step(state, rows):
        parameters, m, v, count = state
        gradient, terms = jax.grad(_loss, has_aux=True)(parameters, rows, job)
        norm = jnp.sqrt(sum((part**2).sum() for part in jax.tree.leaves(gradient)))
        gradient = jax.tree.map(lambda g: g * jnp.minimum(1.0, job.max_grad_norm / norm), gradient)
        count += 1
        m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradient)
        v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradient)
        rate, correction = job.learning_rate / (1 - BETA1**count), 1 / (1 - BETA2**count)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v * correction) + EPS), parameters, m, v
        )  # fmt: skip
        return (parameters, m, v, count), terms

    return step


def minibatch(job: Job, clock: Clock) -> NoReturn:
    """Do it, with the state updated in place (donated) and the rows already where JAX wants them."""
    parameters = initial_parameters(job)
    m, v = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    rows = {name: jnp.asarray(column) for name, column in random_rows(job.minibatch_size, job.seed).items()}
    compiled = jax.jit(make_step(job), donate_argnums=0)
    state = (parameters, m, v, jnp.zeros((), jnp.int32))

    def once():
        nonlocal state
        state, terms = compiled(state, rows)
        jax.block_until_ready((state, terms))

    repeat(once, clock)


if __name__ == "__main__":
    perform("jax.jit", ("jax", "numpy"), minibatch=minibatch)
