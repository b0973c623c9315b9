"""One minibatch of random rows, the same for all: what the three `minibatch_*.py` work on."""

from collections.abc import Callable
from itertools import count
from typing import NoReturn

import numpy as np
from protocol import Clock, Job

OBS_SIZE, NUM_ACTIONS = 8, 4


def random_rows(job: Job) -> dict[str, np.ndarray]:
    """What a minibatch holds, off-policy so that some ratios and values are clipped: obs (B, D), the others (B,)."""
    rng, rows = np.random.default_rng(job.seed), job.minibatch_size
    return {
        "obs": rng.standard_normal((rows, OBS_SIZE)).astype(np.float32),
        "actions": rng.integers(NUM_ACTIONS, size=rows),
        "old_logprobs": (-np.log(NUM_ACTIONS) + 0.2 * rng.standard_normal(rows)).astype(np.float32),
        "old_values": (0.3 * rng.standard_normal(rows)).astype(np.float32),
        "advantages": rng.standard_normal(rows).astype(np.float32),
        "returns": rng.standard_normal(rows).astype(np.float32),
    }


def repeat(step: Callable[[], object], clock: Clock) -> NoReturn:
    """Do it again and again; the clock takes minibatches for steps."""
    clock.start()
    for done in count(1):
        step()
        clock.mark(done)
