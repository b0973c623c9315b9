"""Ranks: processes that share one run. Each steps its environments and computes its rows; sums are taken over all.

A run in one process is a run with one rank, `ALONE`, whose sums are its own numbers. `mpi` has the ranks of MPI.
"""

import os
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ppo_np.errors import RanksError, check

Shared = TypeVar("Shared")


class NotSharedError(Exception):
    """What rank 0 was to make for all ranks could not be made: all of them know it."""


class Ranks:
    """The processes of a run, as one of them sees them; this class is the one of a run in a single process.

    All ranks call the same methods in the same order; who calls one waits until all others do.

    Attributes:
        rank: number of this process, 0 to size - 1. Rank 0 speaks, and writes files.
        size: how many there are.
        cores: that this rank may use for itself.
    """

    rank, size = 0, 1

    @property
    def cores(self) -> int:
        """Cores for this rank: those it may run on, shared evenly with the other ranks on the same host."""
        return len(cores_allowed())

    def allreduce(self, numbers: np.ndarray) -> None:
        """Replace an array by the sum of all ranks' arrays of that shape; the same bits on all ranks."""

    def allgather(self, mine: Shared) -> list[Shared]:
        """Everybody's object, in the order of the ranks, on all ranks."""
        return [mine]

    def allgather_array(self, mine: np.ndarray) -> np.ndarray:
        """Everybody's array of this shape and type, (size, ...), in the order of the ranks, on all ranks."""
        return mine[np.newaxis]

    def broadcast(self, make: Callable[[], Shared]) -> Shared:
        """What rank 0 makes, on all ranks.

        Raises:
            NotSharedError: On all of several ranks, if `make` raised something; on rank 0 from that.
        """
        return make()

    def any(self, mine: bool) -> bool:
        """Whether it is true on at least one rank."""
        return bool(self.allgather_array(np.array(mine)).any())

    def envs(self, num_envs: int) -> range:
        """Which of all environments this rank steps.

        Raises:
            UserError: They cannot be shared evenly.
        """
        check_even(num_envs, self.size)
        share = num_envs // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def check_same(self, params: np.ndarray, update: int) -> None:
        """Make sure that all ranks have the same parameters, bit by bit.

        Raises:
            RanksError: They have not.
        """
        if self.size == 1:
            return
        sums = self.allgather_array(np.array(zlib.crc32(params)))
        odd = np.flatnonzero(sums != sums[0])
        if len(odd):
            raise RanksError(
                f"After update {update}, the parameters of rank {odd[0]} are not those of rank 0: ranks must run on "
                "the same kind of processor with the same versions of everything."
            )


ALONE = Ranks()


def check_even(num_envs: int, ranks: int) -> None:
    """Refuse environments that cannot be shared evenly among ranks.

    Raises:
        UserError: So it is.
    """
    check(num_envs % ranks == 0, "num_envs", num_envs, f"a multiple of the {ranks} ranks that share the environments")


def cores_allowed() -> set[int]:
    """Cores that this process may use; all of the machine's where the system cannot tell."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


class OwnRows:
    """A generator that draws for all environments and hands out the rows of this rank's: all ranks' draws stay alike.

    Args:
        rng: in the same state on all ranks.
        own: environments of this rank.
        num_envs: of all ranks.
    """

    def __init__(self, rng: np.random.Generator, own: range, num_envs: int):
        self._rng, self._own, self._num_envs = rng, slice(own.start, own.stop), num_envs

    def random(self, shape: int | tuple[int, ...]) -> np.ndarray:
        """Uniform numbers in [0, 1), as numpy.random.Generator.random; the first axis has this rank's environments."""
        return self._rows(self._rng.random, shape)

    def standard_normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        """Normal numbers, as numpy.random.Generator.standard_normal; the first axis has this rank's environments."""
        return self._rows(self._rng.standard_normal, shape)

    def _rows(self, draw: Callable[[Any], np.ndarray], shape: int | tuple[int, ...]) -> np.ndarray:
        rest = shape[1:] if isinstance(shape, tuple) else ()
        return draw((self._num_envs, *rest))[self._own]


def own_generator(rng: np.random.Generator, ranks: Ranks, num_envs: int) -> np.random.Generator | OwnRows:
    """What the actions of this rank's environments are drawn from."""
    return rng if ranks.size == 1 else OwnRows(rng, ranks.envs(num_envs), num_envs)
