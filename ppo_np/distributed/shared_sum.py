"""Sums over ranks of one host through memory that they share: quicker than messages where the arrays are small."""

import numpy as np

ROOM = 1 << 18  # bytes of all ranks' arrays; with more, an all-reduce is as quick, which does not read all of them


class SharedSum:
    """Each rank writes its array where all can read it, waits for the others, and adds up what all have written.

    There is room for two sums, used in turn: a rank that is ahead writes into one while others still read the other,
    and cannot be two sums ahead, because it waits for all of them in between.

    Args:
        comm: an mpi4py.MPI.Intracomm of several ranks on one host.
    """

    def __init__(self, comm):
        from mpi4py import MPI

        self._comm, self._rank, ranks = comm, comm.Get_rank(), range(comm.Get_size())
        self._room = ROOM // len(ranks) // 64 * 64
        self._window = MPI.Win.Allocate_shared(2 * self._room, comm=comm)
        self._window.Lock_all()  # for good: what is written counts after Sync
        self._memory = [np.frombuffer(self._window.Shared_query(rank)[0], np.uint8) for rank in ranks]
        self._turn, self._views = 0, {}

    def fits(self, numbers: np.ndarray) -> bool:
        """Whether there is room for such an array."""
        return numbers.nbytes <= self._room

    def add_up(self, numbers: np.ndarray) -> None:
        """Replace a C-contiguous array that fits by the sum of all ranks' arrays, in the order of the ranks."""
        self._turn = 1 - self._turn
        flat = numbers.reshape(-1)
        first, second, *others = shares = self._shares(flat.size, flat.dtype)[self._turn]
        shares[self._rank][:] = flat
        self._window.Sync()
        self._comm.Ibarrier().Wait()  # who waits lets others have the core
        self._window.Sync()
        np.add(first, second, out=flat)
        for share in others:
            flat += share

    def _shares(self, size: int, dtype: np.dtype) -> list[list[np.ndarray]]:
        """For both turns, everybody's array of so many numbers."""
        if (size, dtype) not in self._views:
            parts = [slice(start, start + size * dtype.itemsize) for start in (0, self._room)]
            self._views[size, dtype] = [[own[part].view(dtype) for own in self._memory] for part in parts]
        return self._views[size, dtype]
