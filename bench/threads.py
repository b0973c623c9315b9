"""Measure what BLAS threads bring: one minibatch update of 128 rows, and one forward pass of 4 rows, by network width.

An update is forward, loss, backward, clip and Adam. The network is LunarLander's: 8 numbers in, two shared ReLU layers,
4 actions. Times are medians in microseconds; `ppo_np/threads.py` takes its threshold from this table. Needs an idle
machine with as many cores as threads:

    python bench/threads.py
    python bench/threads.py --widths 64 128 --threads 1 2 4 --repeats 50
"""

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.table import Table

from kernels import adam, clip_by_global_norm, global_norm
from ppo_np.batch import Batch
from ppo_np.config import PPOConfig
from ppo_np.distributions import discrete
from ppo_np.model import ActorCritic
from ppo_np.threads import limit_blas_threads

OBS_SIZE, NUM_ACTIONS = 8, 4
MINIBATCH_ROWS, STEP_ROWS = 128, 4


def median_microseconds(function: Callable[[], None], repeats: int) -> float:
    """Median time of a call; the first call, which may compile, is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
    return median(times) * 1e6


def filled_batch(model: ActorCritic, rows: int, rng: np.random.Generator) -> Batch:
    """A batch with random inputs of the network and of the loss."""
    batch = model.batch(rows)
    batch.obs[:] = rng.standard_normal(batch.obs.shape)
    batch.actions[:] = rng.integers(NUM_ACTIONS, size=rows)
    batch.old_logprobs[:] = -np.log(NUM_ACTIONS)
    batch.advantages[:], batch.returns[:] = rng.standard_normal((2, rows))
    return batch


def measure(width: int, repeats: int) -> tuple[float, float]:
    """Microseconds of a minibatch update and of a small forward pass, for hidden layers of this width."""
    rng = np.random.default_rng(0)
    config = PPOConfig(shared_sizes=(width, width))
    model = ActorCritic(OBS_SIZE, discrete(NUM_ACTIONS), config, rng)
    minibatch, step = filled_batch(model, MINIBATCH_ROWS, rng), filled_batch(model, STEP_ROWS, rng)
    m, v = np.zeros_like(model.params), np.zeros_like(model.params)

    def update():
        model.loss_and_gradient(minibatch, config)
        clip_by_global_norm(model.grads, global_norm(model.grads), config.max_grad_norm)
        adam(
            model.params, model.grads, m, v, 1,
            config.learning_rate, config.adam_beta1, config.adam_beta2, config.adam_eps,
        )  # fmt: skip

    return median_microseconds(update, repeats), median_microseconds(lambda: model.forward(step), repeats)


def main() -> None:
    """Measure every width with every number of threads and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=300, help="calls behind each median")
    options = parser.parse_args()
    table = Table(title="Median microseconds by width and BLAS threads")
    for heading in ("width", "threads", f"update, {MINIBATCH_ROWS} rows", f"forward, {STEP_ROWS} rows"):
        table.add_column(heading, justify="right")
    for width in options.widths:
        for threads in options.threads:
            with limit_blas_threads(threads):
                update, forward = measure(width, options.repeats)
            table.add_row(str(width), str(threads), f"{update:,.0f}", f"{forward:,.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
