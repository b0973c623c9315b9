"""One minibatch in plain JAX, compiled into one program: forward pass, loss, backward pass, clipping, Adam."""

from functools import partial
from typing import NoReturn

from bench.peers.protocol import Clock, Job, perform
from bench.peers.rows import NUM_ACTIONS, OBS_SIZE, random_rows, repeat


def initial_parameters(job: Job) -> dict[str, list]:
    """Weights and biases of the shared layers, the policy's and the value's; heads last."""
    import jax

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
            weight = jax.nn.initializers.orthogonal(gain)(own, (fan_in, width))
            parameters[name].append((weight, jax.numpy.zeros(width)))
            fan_in = width
    return parameters


def _stack(layers: list, h, activation, activate_last: bool):
    for layer, (weight, bias) in enumerate(layers):
        h = h @ weight + bias
        if activate_last or layer < len(layers) - 1:
            h = activation(h)
    return h


def loss(parameters: dict, rows: dict, job: Job):
    """The loss, and all its terms."""
    import jax

    from bench.peers.kernels_jax import categorical_forward, normalize, ppo_loss_forward

    activation = {"tanh": jax.numpy.tanh, "relu": jax.nn.relu}[job.activation]
    features = _stack(parameters["shared"], rows["obs"], activation, True)
    logits = _stack(parameters["policy"], features, activation, False)
    values = _stack(parameters["value"], features, activation, False)[:, 0]
    _, logprobs, entropies = categorical_forward(logits, rows["actions"], None, None, None)
    given = logprobs, entropies, values, rows["old_logprobs"], rows["old_values"], *normalize(rows["advantages"])
    (terms,) = ppo_loss_forward(*given, rows["returns"], job.clip_coef, job.ent_coef, job.vf_coef, True)
    return terms[0], terms


def step(state, rows, job: Job):
    """One minibatch; state is (parameters, m, v, steps done). The new state and the terms are returned."""
    import jax

    from bench.peers.kernels_jax import adam, clip_by_global_norm

    parameters, m, v, count = state
    gradient, terms = jax.grad(loss, has_aux=True)(parameters, rows, job)
    norm = jax.numpy.sqrt(sum((part**2).sum() for part in jax.tree.leaves(gradient)))
    gradient = jax.tree.map(lambda g: clip_by_global_norm(g, norm, job.max_grad_norm)[0], gradient)
    count += 1
    settings = count, job.learning_rate, 0.9, 0.999, 1e-5
    new = jax.tree.map(lambda *tensors: adam(*tensors, *settings), parameters, gradient, m, v)
    of_each = jax.tree.transpose(jax.tree.structure(parameters), jax.tree.structure((0, 0, 0)), new)
    return (*of_each, count), terms


def minibatch(job: Job, clock: Clock) -> NoReturn:
    """Do it, with the state updated in place (donated) and the rows already where JAX wants them."""
    import jax

    parameters = initial_parameters(job)
    m, v = (jax.tree.map(jax.numpy.zeros_like, parameters) for _ in range(2))
    rows = {name: jax.numpy.asarray(column) for name, column in random_rows(job.minibatch_size, job.seed).items()}
    compiled = jax.jit(partial(step, job=job), donate_argnums=0)
    state = (parameters, m, v, jax.numpy.zeros((), jax.numpy.int32))

    def once():
        nonlocal state
        state, terms = compiled(state, rows)
        jax.block_until_ready((state, terms))

    repeat(once, clock)


if __name__ == "__main__":
    perform("jax.jit", ("jax", "numpy"), minibatch=minibatch)
