"""Ranks that are threads of one process: the logic of several ranks without MPI."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ppo_np.distributed.ranks import Ranks

SECONDS = 60


class ThreadRanks(Ranks):
    """One of `size` threads; see `together`."""

    def __init__(self, rank: int, size: int, table: list, barrier: threading.Barrier):
        self.rank, self.size = rank, size
        self._table, self._barrier = table, barrier
        self.sums = 0

    cores = 1

    def allgather(self, mine):
        self._table[self.rank] = mine
        self._barrier.wait(SECONDS)
        everyone = list(self._table)
        self._barrier.wait(SECONDS)
        return everyone

    def allgather_array(self, mine):
        return np.array(self.allgather(mine))

    def allreduce(self, numbers):
        self.sums += 1
        numbers[:] = sum(self.allgather(numbers.copy()))

    def broadcast(self, make):
        return self.allgather(make() if self.rank == 0 else None)[0]


def together(size: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """What `work` returns to each of `size` ranks; an exception of one of them is raised here."""
    barrier, table = threading.Barrier(size), [None] * size
    results, errors = [None] * size, []

    def run(rank: int) -> None:
        try:
            results[rank] = work(ThreadRanks(rank, size, table, barrier))
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
