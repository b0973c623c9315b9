"""The environments alone, with random actions that were drawn beforehand: no training can be faster."""

from itertools import count
from typing import NoReturn

import numpy as np
from environments import make, resets_later
from protocol import Clock, Job, take_turns


def measure(job: Job, clock: Clock) -> NoReturn:
    """Step the environments as training would."""
    envs = make(job, bare=True)
    rng = np.random.default_rng(job.seed)
    choices, dtype = envs.single_action_space.n, envs.single_action_space.dtype
    ended = np.zeros((2, job.num_steps, job.num_envs), bool)
    lost = 0
    envs.reset(seed=job.seed)
    clock.start()
    for update in count(1):
        actions = rng.integers(choices, size=(job.num_steps, job.num_envs), dtype=dtype)
        for t in range(job.num_steps):
            _, _, ended[0, t], ended[1, t], _ = envs.step(actions[t])
        if resets_later(envs):
            lost += int(np.count_nonzero(ended.any(axis=0)))
        clock.mark(update * job.batch_size - lost)


if __name__ == "__main__":
    take_turns("environment alone", ("gymnasium", "numpy"), measure)
