"""What blocks of rows bring: loss and gradient of a minibatch, whole or in blocks, on one thread and on two.

The network is two separate [64, 64] tanh towers, 8 numbers in and 4 actions out. Microseconds a row, medians, the
columns taken in turns, two threads also where there are but two blocks; `ppo_np/network/blocks.py` takes its
BLOCK_ROWS from this table.
"""

from collections.abc import Sequence
from statistics import median
from time import perf_counter

from bench.contests.contest import new_document, parser, show, write
from bench.ours import limit_blas_threads, model_of
from bench.peers.rows import random_rows
from bench.report.sections import blocks_table
from ppo_np.config import PPOConfig
from ppo_np.network import blocks
from ppo_np.network.blocks import BlockedGradient

SETTINGS = {"shared_sizes": (), "policy_sizes": (64, 64), "value_sizes": (64, 64), "activation": "tanh"}
CONFIG = PPOConfig(**SETTINGS)


def measure(rows: int, block_rows: int, threads: Sequence[int], repeats: int) -> list[float]:
    """Median microseconds a row: in one piece, then in blocks with each number of threads."""
    blocks.BLOCK_ROWS, blocks.FEWEST_BLOCKS = block_rows, 2
    model = model_of(**SETTINGS)
    columns = [BlockedGradient(model, 1, wide=True), *(BlockedGradient(model, count, wide=False) for count in threads)]
    minibatch, times = model.minibatch(rows), [[] for _ in columns]
    for name, values in random_rows(rows, seed=0).items():
        getattr(minibatch, name)[:] = values
    for turn in range(repeats + 1):
        for column, seconds in zip(columns, times, strict=True):
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
    names = "in one piece", *(f"blocks, {n} thread{'s'[: n > 1]}" for n in options.threads)
    document = new_document("blocks", options) | {"columns": names, "figures": []}
    with limit_blas_threads(1):
        for rows in options.rows:
            for block_rows in options.block_rows:
                figures = measure(rows, block_rows, options.threads, repeats)
                document["figures"].append({"rows": rows, "block_rows": block_rows, "microseconds": figures})
    show(blocks_table(document))
    write(options.out, document)


if __name__ == "__main__":
    main()
