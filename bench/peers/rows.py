"""One minibatch of random rows, the same for all that do minibatches."""

from collections.abc import Callable
from itertools import count
from typing import NoReturn

import numpy as np

from bench.peers.protocol import Clock

OBS_SIZE, NUM_ACTIONS = 8, 4  # LunarLander's


def random_rows(rows: int, seed: int) -> dict[str, np.ndarray]:
    """What a minibatch holds, off-policy so that some ratios and values are clipped: obs (B, D), the others (B,)."""
    rng = np.random.default_rng(seed)
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
