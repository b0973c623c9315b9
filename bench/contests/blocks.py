"""What blocks of rows bring: loss and gradient of a minibatch, whole or in blocks, on one thread and on two.

The network is two separate [64, 64] tanh towers, 8 numbers in and 4 actions out. Microseconds a row, medians, the
columns taken in turns, two threads also where there are but two blocks; `ppo_np/network/blocks.py` takes its
BLOCK_ROWS from this table.
"""

from itertools import product
from statistics import median
from time import perf_counter

from bench.contests.contest import begin, show, write
from bench.ours import limit_blas_threads, model_of
from bench.peers.rows import random_rows
from bench.report.sections import blocks_table
from ppo_np.config import PPOConfig
from ppo_np.network import blocks
from ppo_np.network.blocks import BlockedGradient

ROWS, BLOCK_ROWS = (512, 1024, 2048, 8192), (128, 256, 512)
SETTINGS = {"shared_sizes": (), "policy_sizes": (64, 64), "value_sizes": (64, 64), "activation": "tanh"}
CONFIG = PPOConfig(**SETTINGS)


def measure(rows: int, block_rows: int, repeats: int) -> list[float]:
    """Median microseconds a row: in one piece, then in blocks with one thread and with two."""
    blocks.BLOCK_ROWS, blocks.FEWEST_BLOCKS = block_rows, 2
    model = model_of(**SETTINGS)
    columns = [BlockedGradient(model, 1, wide=True), *(BlockedGradient(model, n, wide=False) for n in (1, 2))]
    minibatch, times = model.minibatch(rows), [[] for _ in columns]
    for name, values in random_rows(rows, seed=0).items():
        getattr(minibatch, name)[:] = values
    for _ in range(repeats + 1):
        for column, seconds in zip(columns, times, strict=True):
            start = perf_counter()
            column.loss_and_gradient(minibatch, CONFIG)
            seconds.append(perf_counter() - start)
    for column in columns:
        column.close()
    return [median(seconds[1:]) / rows * 1e6 for seconds in times]  # the first one may compile


def main() -> None:
    """Measure every size and print the table."""
    options, document = begin(__doc__, "blocks")
    document |= {"columns": ["in one piece", "blocks, 1 thread", "blocks, 2 threads"], "figures": []}
    with limit_blas_threads(1):
        for rows, block_rows in product(ROWS, BLOCK_ROWS):
            figures = measure(rows, block_rows, 2 if options.quick else 100)
            document["figures"].append({"rows": rows, "block_rows": block_rows, "microseconds": figures})
    show(blocks_table(document))
    write(options.out, document)


if __name__ == "__main__":
    main()
