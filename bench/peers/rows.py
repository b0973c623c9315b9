"""One minibatch of random rows, the same for all: what the three `minibatch_*.py` time."""

from collections.abc import Callable, Mapping
from time import perf_counter, process_time

import numpy as np
from protocol import Job

OBS_SIZE, NUM_ACTIONS = 8, 4
WARM_UP = 20


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


def timed(step: Callable[[], object], job: Job) -> Mapping[str, float]:
    """Median and least microseconds of `job.updates` calls, the first ones left out."""
    for _ in range(WARM_UP):
        step()
    times, cpu, start = [], process_time(), perf_counter()
    for _ in range(job.updates):
        before = perf_counter()
        step()
        times.append(perf_counter() - before)
    cores = (process_time() - cpu) / (perf_counter() - start)
    return {"microseconds": float(np.median(times)) * 1e6, "least": min(times) * 1e6, "cores_used": cores}
