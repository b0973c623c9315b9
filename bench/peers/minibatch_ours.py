"""One minibatch by ppo_np: forward pass, loss, backward pass, clipping, Adam."""

from typing import NoReturn

import numpy as np
from our_config import config_of
from protocol import Clock, Job, take_turns
from rows import NUM_ACTIONS, OBS_SIZE, random_rows, repeat

from kernels import adam, clip_by_global_norm, global_norm
from ppo_np.distributions import discrete
from ppo_np.model import ActorCritic
from ppo_np.threads import limit_blas_threads


def measure(job: Job, clock: Clock) -> NoReturn:
    """Do it with the model, the kernels and the threads that training uses."""
    config = config_of(job)
    model = ActorCritic(OBS_SIZE, discrete(NUM_ACTIONS), config, np.random.default_rng(job.seed))
    batch, m, v = model.batch(job.minibatch_size), np.zeros_like(model.params), np.zeros_like(model.params)
    for name, column in random_rows(job).items():
        getattr(batch, name)[:] = column

    done = 0

    def step():
        nonlocal done
        done += 1
        model.loss_and_gradient(batch, config)
        clip_by_global_norm(model.grads, global_norm(model.grads), config.max_grad_norm)
        adam(model.params, model.grads, m, v, done, config.learning_rate, config.adam_beta1, config.adam_beta2, 1e-5)

    with limit_blas_threads(job.threads):
        repeat(step, clock)


if __name__ == "__main__":
    take_turns("ppo_np", ("numpy", "numba", "scipy"), measure)
