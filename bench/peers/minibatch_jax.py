"""One minibatch by JAX, compiled; see jax_step.py."""

from typing import NoReturn

from protocol import Clock, Job, take_turns
from rows import NUM_ACTIONS, OBS_SIZE, random_rows, repeat


def measure(job: Job, clock: Clock) -> NoReturn:
    """Do it, with the state updated in place (donated) and the rows already where JAX wants them."""
    import jax
    import jax.numpy as jnp
    from jax_step import initial_parameters, make_step

    parameters = initial_parameters(OBS_SIZE, NUM_ACTIONS, job)
    m, v = jax.tree.map(jnp.zeros_like, parameters), jax.tree.map(jnp.zeros_like, parameters)
    rows = {name: jnp.asarray(column) for name, column in random_rows(job).items()}
    compiled = jax.jit(make_step(job), donate_argnums=0)
    state = (parameters, m, v, jnp.zeros((), jnp.int32))

    def step():
        nonlocal state
        state, terms = compiled(state, rows)
        jax.block_until_ready((state, terms))

    repeat(step, clock)


if __name__ == "__main__":
    take_turns("jax.jit", ("jax", "numpy"), measure)
