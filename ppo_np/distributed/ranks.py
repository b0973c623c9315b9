"""Ranks: processes that share one run. Each steps its own environments and computes its share of each minibatch.

A run in one process has one rank, `ALONE`. `ppo_np.distributed.mpi` has the ranks of MPI.
"""

import os
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ppo_np.errors import RanksError, check

Shared = TypeVar("Shared")


class NotSharedError(Exception):
    """Rank 0 could not make an object for all ranks; raised on all of them."""


class Ranks:
    """The processes of a run, seen from one of them. This base class is the one rank of a run in a single process.

    All ranks must call the same methods in the same order; each call waits for all other ranks.

    Attributes:
        rank: number of this process, 0 to size - 1. Rank 0 prints and writes files.
        size: number of ranks.
    """

    rank, size = 0, 1

    @property
    def cores(self) -> int:
        """Number of cores for this rank: those that it may run on, shared evenly with other ranks on the same host."""
        return len(cores_allowed())

    def allreduce(self, numbers: np.ndarray) -> None:
        """Replace an array by the sum of all ranks' arrays of that shape, with the same bits on all ranks."""

    def allgather(self, mine: Shared) -> list[Shared]:
        """The objects of all ranks, in the order of the ranks."""
        return [mine]

    def allgather_array(self, mine: np.ndarray) -> np.ndarray:
        """The arrays of all ranks, (size, *shape), in the order of the ranks; shape and type must be the same."""
        return mine[np.newaxis]

    def broadcast(self, make: Callable[[], Shared]) -> Shared:
        """What `make` returns on rank 0, on all ranks.

        If it raises an exception and there are several ranks, raises NotSharedError on all of them, on rank 0 from it.
        """
        return make()

    def any(self, mine: bool) -> bool:
        """Whether `mine` is true on at least one rank."""
        return bool(self.allgather_array(np.array(mine)).any())

    def envs(self, num_envs: int) -> range:
        """The indices of this rank's environments; raises UserError if the ranks cannot share them evenly."""
        check_even(num_envs, self.size)
        share = num_envs // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def check_same(self, params: np.ndarray, update: int) -> None:
        """Raise RanksError unless all ranks have the same parameters, bit by bit."""
        if self.size == 1:
            return
        checksums = self.allgather_array(np.array(zlib.crc32(params.data)))
        different = np.flatnonzero(checksums != checksums[0])
        if len(different):
            raise RanksError(
                f"After update {update}, the parameters of rank {different[0]} are not those of rank 0: ranks must run "
                "on the same kind of processor with the same versions of everything."
            )


ALONE = Ranks()


def check_even(num_envs: int, ranks: int) -> None:
    """Raise UserError unless so many ranks can share the environments evenly."""
    check(num_envs % ranks == 0, "num_envs", num_envs, f"a multiple of the {ranks} ranks that share the environments")


def cores_allowed() -> set[int]:
    """The cores that this process may use; all cores of the machine where the system does not tell."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


class OwnRows:
    """A generator that draws for all environments and returns this rank's part, so it has the same state on all ranks.

    Args:
        rng: in the same state on all ranks.
        own: indices of this rank's environments.
        num_envs: number of environments of all ranks.
        axis: of shapes, which is the environments.
    """

    def __init__(self, rng: np.random.Generator, own: range, num_envs: int, axis: int = 0):
        self._rng, self._own, self._num_envs, self._axis = rng, own, num_envs, axis

    def random(self, shape: int | tuple[int, ...]) -> np.ndarray:
        """As numpy.random.Generator.random; an axis of `shape` is this rank's environments."""
        return self._rows(self._rng.random, shape)

    def standard_normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        """As numpy.random.Generator.standard_normal; an axis of `shape` is this rank's environments."""
        return self._rows(self._rng.standard_normal, shape)

    def _rows(self, draw: Callable[[Any], np.ndarray], shape: int | tuple[int, ...]) -> np.ndarray:
        whole = list(shape) if isinstance(shape, tuple) else [shape]
        whole[self._axis] = self._num_envs
        return draw(tuple(whole))[(slice(None),) * self._axis + (slice(self._own.start, self._own.stop),)]

    def ahead(self) -> "OwnRows":
        """The same for arrays of several steps, (K, N, ...)."""
        return OwnRows(self._rng, self._own, self._num_envs, axis=1)


def own_generator(rng: np.random.Generator, ranks: Ranks, num_envs: int) -> np.random.Generator | OwnRows:
    """The generator for the actions of this rank's environments."""
    return rng if ranks.size == 1 else OwnRows(rng, ranks.envs(num_envs), num_envs)
