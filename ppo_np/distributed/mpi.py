"""Ranks of MPI, through mpi4py, which is imported only where an MPI launcher has started this process."""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from ppo_np.distributed.ranks import ALONE, NotSharedError, Ranks, Shared, check_even, cores_allowed
from ppo_np.distributed.shared_sum import SharedSum
from ppo_np.errors import UserError, check, require_extra

# One of these is set where MPICH, Open MPI, MVAPICH or a launcher that speaks PMIx (srun, say) has started a process.
STARTED = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK")
EXTRA = "mpi"


class MPIRanks(Ranks):
    """The processes of an MPI communicator.

    Args:
        comm: an mpi4py.MPI.Intracomm.
    """

    def __init__(self, comm):
        from mpi4py import MPI

        self.comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()
        self._in_place, self._sum = MPI.IN_PLACE, MPI.SUM
        host = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.on_one_host = host.Get_size() == self.size
        cores = set().union(*host.allgather(cores_allowed()))
        self._cores = max(1, len(cores) // host.Get_size())
        self._crowded = host.Get_size() > len(cores)
        host.Free()
        self._shared = SharedSum(comm) if self.on_one_host else None
        _unlink_shared_memory()

    @property
    def cores(self) -> int:
        """Cores for this rank: those that the ranks of its host may run on, shared evenly among these."""
        return self._cores

    def allreduce(self, numbers: np.ndarray) -> None:
        """As `Ranks.allreduce`, of a C-contiguous array; who waits for it lets others have the core."""
        if self._shared and self._shared.fits(numbers):
            self._shared.add_up(numbers)
            return
        self.comm.Iallreduce(self._in_place, numbers, self._sum).Wait()

    def allgather(self, mine: Shared) -> list[Shared]:
        """As `Ranks.allgather`; the objects are pickled."""
        self._meet()
        return self.comm.allgather(mine)

    def allgather_array(self, mine: np.ndarray) -> np.ndarray:
        """As `Ranks.allgather_array`, of a C-contiguous array."""
        self._meet()
        numbers = np.zeros((self.size, *mine.shape), mine.dtype)
        self.comm.Allgather(mine, numbers)
        return numbers

    def _meet(self) -> None:
        """Where ranks share cores: wait for all in a way that lets the others have the core."""
        if self._crowded:
            self.comm.Ibarrier().Wait()

    def broadcast(self, make: Callable[[], Shared]) -> Shared:
        """As `Ranks.broadcast`: what rank 0 makes is pickled and sent to the others."""
        made = failed = None
        if self.rank == 0:
            try:
                made = make()
            except BaseException as error:
                failed = error
        fine, made = self.comm.bcast((failed is None, made))
        if not fine:
            raise NotSharedError from failed
        return made


def _unlink_shared_memory() -> None:
    """Take the name from memory that MPICH has shared among a host's ranks, once all of them have it.

    It goes with the last of them then; under its name, it would stay behind a rank that is killed.
    """
    with suppress(OSError):  # no Linux
        for name in set(re.findall(r"/dev/shm/mpich_shm_\w+", Path("/proc/self/maps").read_text())):
            Path(name).unlink(missing_ok=True)


def is_started() -> bool:
    """Whether an MPI launcher has started this process."""
    return any(name in os.environ for name in STARTED)


def world() -> Ranks:
    """The ranks that an MPI launcher has started; `ALONE`, without importing MPI, if none has.

    Raises:
        UserError: One has, but mpi4py or MPI's library is not installed.
    """
    if not is_started():
        return ALONE
    require_extra("mpi4py", EXTRA, "A run that an MPI launcher has started")
    try:
        import mpi4py

        mpi4py.rc.thread_level = "funneled"  # one thread alone speaks: MPICH need not lock, and sums more quickly
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"mpi4py finds no MPI library ({reason}): pip install 'ppo_np[{EXTRA}]'.") from error
    return MPIRanks(MPI.COMM_WORLD) if MPI.COMM_WORLD.Get_size() > 1 else ALONE


def wanted(ranks: int | str, num_envs: int, started: Ranks) -> int:
    """How many ranks `--ranks` (>= 1) asks for; "auto" is one a core, as far as they can share environments evenly.

    Raises:
        UserError: The environments cannot be shared evenly among them, or a launcher has started another number.
    """
    if is_started():
        check(ranks in ("auto", started.size), "ranks", ranks, f"{started.size}, as many as the launcher has started")
        check_even(num_envs, started.size)
        return started.size
    if ranks == "auto":
        cores = len(cores_allowed())
        return max(number for number in range(1, cores + 1) if num_envs % number == 0)
    check_even(num_envs, ranks)
    return ranks
