"""Ranks of MPI, through mpi4py, which is imported only in processes that an MPI launcher has started."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ppo_np.distributed.ranks import ALONE, NotSharedError, Ranks, Shared, check_even, cores_allowed
from ppo_np.distributed.shared_sum import SharedSum
from ppo_np.errors import UserError, check, require_extra

if TYPE_CHECKING:
    from mpi4py import MPI

# Set by MPICH, Open MPI, MVAPICH and launchers that use PMIx (for example srun) in the processes that they start.
STARTED = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK")
EXTRA = "mpi"


class MPIRanks(Ranks):
    """The processes of an MPI communicator. Arrays must be C-contiguous; objects are pickled."""

    def __init__(self, comm: "MPI.Intracomm"):
        from mpi4py import MPI

        self.comm = comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._in_place, self._sum = MPI.IN_PLACE, MPI.SUM
        host = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.on_one_host = host.Get_size() == self.size
        cores: set[int] = set().union(*host.allgather(cores_allowed()))
        self._cores = max(1, len(cores) // host.Get_size())
        self._share_cores = host.Get_size() > len(cores)
        host.Free()
        self._shared = SharedSum(comm) if self.on_one_host else None
        _unlink_shared_memory()

    @property
    def cores(self) -> int:
        """As `Ranks.cores`."""
        return self._cores

    def allreduce(self, numbers: np.ndarray) -> None:
        """As `Ranks.allreduce`; a rank that waits leaves its core to others."""
        if self._shared and self._shared.fits(numbers):
            self._shared.add_up(numbers)
        else:
            self.comm.Iallreduce(self._in_place, numbers, self._sum).Wait()

    def allgather(self, mine: Shared) -> list[Shared]:
        """As `Ranks.allgather`."""
        self._wait_for_all()
        return self.comm.allgather(mine)

    def allgather_array(self, mine: np.ndarray) -> np.ndarray:
        """As `Ranks.allgather_array`."""
        self._wait_for_all()
        gathered = np.zeros((self.size, *mine.shape), mine.dtype)
        self.comm.Allgather(mine, gathered)
        return gathered

    def _wait_for_all(self) -> None:
        """If ranks share cores: wait for all ranks in a way that leaves the core to others."""
        if self._share_cores:
            self.comm.Ibarrier().Wait()

    def broadcast(self, make: Callable[[], Shared]) -> Shared:
        """As `Ranks.broadcast`."""
        made = failed = None
        if self.rank == 0:
            try:
                made = make()
            except BaseException as error:
                failed = error
        succeeded, made = self.comm.bcast((failed is None, made))
        if not succeeded:
            raise NotSharedError from failed
        return made


def _unlink_shared_memory() -> None:
    """Remove the names of MPICH's shared memory once all ranks have mapped it: a named file outlives killed ranks."""
    with suppress(OSError):  # not Linux
        for name in set(re.findall(r"/dev/shm/mpich_shm_\w+", Path("/proc/self/maps").read_text())):
            Path(name).unlink(missing_ok=True)


def is_started() -> bool:
    """Whether an MPI launcher has started this process."""
    return any(name in os.environ for name in STARTED)


def world() -> Ranks:
    """The ranks that an MPI launcher has started; `ALONE`, without importing MPI, if there was no launcher.

    Raises UserError if there was a launcher, but mpi4py or MPI's library is not installed.
    """
    if not is_started():
        return ALONE
    require_extra("mpi4py", EXTRA, "A run that an MPI launcher has started")
    try:
        import mpi4py

        mpi4py.rc.thread_level = "funneled"  # only one thread calls MPI: MPICH needs no locks and sums faster
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"mpi4py finds no MPI library ({reason}): pip install 'ppo_np[{EXTRA}]'.") from error
    return MPIRanks(MPI.COMM_WORLD) if MPI.COMM_WORLD.Get_size() > 1 else ALONE


def wanted(ranks: int | str, num_envs: int, started: Ranks) -> int:
    """The number of ranks for `--ranks` (>= 1); "auto": the largest number up to the cores that divides `num_envs`.

    Raises UserError if it does not divide `num_envs`, or if a launcher has started another number of ranks.
    """
    if is_started():
        check(ranks in ("auto", started.size), "ranks", ranks, f"{started.size}, as many as the launcher has started")
        ranks = started.size
    if isinstance(ranks, str):
        cores = len(cores_allowed())
        return max(number for number in range(1, cores + 1) if num_envs % number == 0)
    check_even(num_envs, ranks)
    return ranks
