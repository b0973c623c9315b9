"""Measure what blocks of rows bring: loss and gradient of a minibatch, whole or in blocks, on one thread and on two.

The network is two separate [64, 64] tanh towers, 8 numbers in and 4 actions out. Microseconds a row, medians, the
columns taken in turns, two threads also where there are but two blocks; `ppo_np/blocks.py` takes its BLOCK_ROWS from
this table. Needs an idle machine:

    python bench/blocks.py
    python bench/blocks.py --rows 2048 --block-rows 128 256 512
    python bench/blocks.py --quick

It writes the table to runs/bench/blocks.json.
"""

from collections.abc import Sequence
from statistics import median
from time import perf_counter

import numpy as np
from contest import machine, parser, write
from rich.console import Console
from rich.table import Table

from ppo_np import blocks
from ppo_np.batch import Minibatch
from ppo_np.blocks import BlockedGradient
from ppo_np.checkpoint import library_versions
from ppo_np.config import PPOConfig
from ppo_np.distributions import discrete
from ppo_np.model import ActorCritic
from ppo_np.threads import limit_blas_threads

OBS_SIZE, NUM_ACTIONS = 8, 4
CONFIG = PPOConfig(shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64), activation="tanh")


def fill(minibatch: Minibatch, rng: np.random.Generator) -> None:
    """Random inputs of the network and of the loss."""
    minibatch.obs[:] = rng.standard_normal(minibatch.obs.shape)
    minibatch.actions[:] = rng.integers(NUM_ACTIONS, size=minibatch.rows)
    minibatch.old_logprobs[:] = -np.log(NUM_ACTIONS)
    minibatch.advantages[:], minibatch.returns[:] = rng.standard_normal((2, minibatch.rows))


def measure(rows: int, block_rows: int, threads: Sequence[int], repeats: int) -> list[float]:
    """Median microseconds a row: in one piece, then in blocks with each number of threads."""
    blocks.BLOCK_ROWS, blocks.FEWEST_BLOCKS = block_rows, 2
    rng = np.random.default_rng(0)
    model = ActorCritic(OBS_SIZE, discrete(NUM_ACTIONS), CONFIG, rng)
    columns = [BlockedGradient(model, 1, wide=True), *(BlockedGradient(model, count, wide=False) for count in threads)]
    minibatches, times = [column.minibatch(rows) for column in columns], [[] for _ in columns]
    for minibatch in minibatches:
        fill(minibatch, rng)
    for turn in range(repeats + 1):
        for column, minibatch, seconds in zip(columns, minibatches, times, strict=True):
            start = perf_counter()
            column.loss_and_gradient(minibatch, CONFIG)
            if turn:  # the first one may compile
                seconds.append(perf_counter() - start)
    for column in columns:
        column.close()
    return [median(seconds) / rows * 1e6 for seconds in times]


def main() -> None:
    """Measure every size and print the table."""
    options = parser(__doc__, "blocks")
    options.add_argument("--rows", type=int, nargs="+", default=[512, 1024, 2048, 8192], help="of a minibatch")
    options.add_argument("--block-rows", type=int, nargs="+", default=[128, 256, 512])
    options.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options.add_argument("--repeats", type=int, default=100, help="calls behind each median")
    options = options.parse_args()
    repeats = 2 if options.quick else options.repeats
    table = Table(title="Median microseconds a row")
    names = "in one piece", *(f"blocks, {n} thread{'s'[: n > 1]}" for n in options.threads)
    for heading in ("rows", "rows of a block", *names):
        table.add_column(heading, justify="right")
    document = {"benchmark": "blocks", "quick": options.quick} | machine() | {"versions": library_versions()}
    document |= {"columns": names, "figures": []}
    with limit_blas_threads(1):
        for rows in options.rows:
            for block_rows in options.block_rows:
                figures = measure(rows, block_rows, options.threads, repeats)
                table.add_row(f"{rows:,}", str(block_rows), *(f"{figure:.2f}" for figure in figures))
                document["figures"].append({"rows": rows, "block_rows": block_rows, "microseconds": figures})
    Console().print(table)
    write(options.out, document)


if __name__ == "__main__":
    main()
