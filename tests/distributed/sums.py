"""Print how many sums over ranks of MPI were wrong: mpiexec -n R python sums.py TURNS.

Ranks are late at random between writing, waiting and reading. With a single turn, one overwrites what another has yet
to read.
"""

import sys
import time

import numpy as np

from ppo_np.distributed.mpi import world
from ppo_np.distributed.shared_sum import ROOM

ROUNDS = 40


class Late:
    """The window, whose Sync takes up to 2 ms."""

    def __init__(self, window, rng):
        self.window, self.rng = window, rng

    def Sync(self):  # noqa: N802  MPI's name
        time.sleep(self.rng.uniform(0, 0.002))
        self.window.Sync()


def main() -> None:
    ranks, turns, rng = world(), int(sys.argv[1]), np.random.default_rng(0)
    shared = ranks._shared
    shared._window = Late(shared._window, np.random.default_rng(1 + ranks.rank))
    if turns == 1:
        both, shared._shares = shared._shares, lambda size, dtype: [both(size, dtype)[0]] * 2
    largest, wrong, messages = ROOM // ranks.size, 0, 0
    for dtype in (np.float32, np.float64):
        itemsize = np.dtype(dtype).itemsize
        for size in [1, 2, largest // itemsize, largest // itemsize + 1, *rng.integers(1, 5000, ROUNDS)]:
            numbers = rng.integers(-1000, 1000, (ranks.size, size)).astype(dtype)  # whose sums are exact
            mine = numbers[ranks.rank].copy()
            messages += not shared.fits(mine)
            ranks.allreduce(mine)
            wrong += not np.array_equal(mine, numbers.sum(axis=0))
    told = ranks.allgather((wrong, messages))
    if ranks.rank == 0:
        print(sum(wrong for wrong, _ in told), {messages for _, messages in told})


if __name__ == "__main__":
    main()
