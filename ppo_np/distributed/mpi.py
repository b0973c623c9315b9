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

# The rank and the number of ranks: set by MPICH, Open MPI, MVAPICH and srun in the processes that they start. The rank
# alone is no sign of a launcher: PMIX_RANK is also set where MPI cannot be initialised.
STARTED = {
    "PMI_RANK": "PMI_SIZE",
    "OMPI_COMM_WORLD_RANK": "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_RANK": "MV2_COMM_WORLD_SIZE",
    "PMIX_RANK": "SLURM_STEP_NUM_TASKS",
}
EXTRA = "mpi"
SHARED_MEMORY = Path("/dev/shm")
MEMORY_FIXED, MEMORY_PER_RANK = 1 << 20, 1.25 * (1 << 20)  # bytes there; MPICH 5 takes 0.6 MB and 1.1 MB for each rank


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
        unlink_shared_memory()

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


def check_shared_memory(ranks: int) -> None:
    """Raise UserError if so many ranks of MPICH have no room for their shared memory: they would crash."""
    with suppress(OSError):  # not Linux
        system = os.statvfs(SHARED_MEMORY)
        free, needed = system.f_bavail * system.f_frsize / 1e6, (MEMORY_FIXED + ranks * MEMORY_PER_RANK) / 1e6
        if free < needed:
            raise UserError(
                f"ranks is {ranks}, and {SHARED_MEMORY} has {free:.1f} MB free, but it must have {needed:.1f} MB: "
                "enlarge it (in Docker: --shm-size) or choose fewer ranks."
            )


def _mapped(process: str) -> set[str]:
    """The files of MPICH's shared memory that a process has mapped; empty if it has ended or is another user's."""
    with suppress(OSError):
        return set(
            re.findall(rf"{re.escape(str(SHARED_MEMORY))}/mpich_\w+", Path("/proc", process, "maps").read_text())
        )
    return set()


def unlink_shared_memory() -> None:
    """Remove the names of MPICH's shared memory once all ranks have mapped it: a named file outlives killed ranks."""
    for name in _mapped("self"):
        with suppress(OSError):
            os.unlink(name)


def remove_unused_shared_memory(since: float) -> None:
    """Remove what ranks have left that were killed while MPI was initialised.

    These are MPICH's files of this user, made at that time (as `time.time`) or later, that no process has mapped.
    """
    with suppress(OSError):
        made = {path: path.stat() for path in SHARED_MEMORY.glob("mpich_*")}
        ours = {str(path) for path, stat in made.items() if stat.st_uid == os.getuid() and stat.st_mtime >= since}
        used = set().union(*(_mapped(entry.name) for entry in Path("/proc").glob("[0-9]*"))) if ours else set()
        for name in ours - used:
            os.unlink(name)


def launched_rank() -> int | None:
    """The number of this process among those that an MPI launcher has started; None if there was no launcher."""
    return next((int(os.environ[rank]) for rank, size in STARTED.items() if _launched(rank, size)), None)


def launched_size() -> int:
    """How many processes an MPI launcher has started, with this one; 0 if there was no launcher."""
    return next((int(os.environ[size]) for rank, size in STARTED.items() if _launched(rank, size)), 0)


def _launched(*names: str) -> bool:
    return all(os.environ.get(name, "").isdecimal() for name in names)


def world() -> Ranks:
    """The ranks that an MPI launcher has started; `ALONE`, without importing MPI, if it has not started several.

    Raises UserError if mpi4py or MPI's library is not installed, or if the launcher belongs to another MPI.
    """
    size = launched_size()
    if size <= 1:
        return ALONE
    require_extra("mpi4py", EXTRA, "A run that an MPI launcher has started")
    if os.environ.get("MPI_LOCALNRANKS") == str(size):  # on one host MPICH has its own shared memory and does not use
        os.environ.setdefault("UCX_TLS", "self,tcp")  # UCX's, which crashes if it has too little room
    try:
        import mpi4py

        mpi4py.rc.thread_level = "funneled"  # only one thread calls MPI: MPICH needs no locks and sums faster
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"mpi4py finds no MPI library ({reason}): pip install 'ppo_np[{EXTRA}]'.") from error
    found = MPI.COMM_WORLD.Get_size()
    if found != size:
        raise UserError(f"MPI's launcher has started {size} processes, but MPI finds {found}: is it of another MPI?")
    return MPIRanks(MPI.COMM_WORLD)


def wanted(ranks: int | str, num_envs: int, started: Ranks) -> int:
    """The number of ranks for `--ranks` (>= 1); "auto": the largest number up to the cores that divides `num_envs`.

    Raises UserError if it does not divide `num_envs`, or if a launcher has started another number of ranks.
    """
    if launched_size():
        check(ranks in ("auto", started.size), "ranks", ranks, f"{started.size}, as many as the launcher has started")
        ranks = started.size
    if isinstance(ranks, str):
        cores = len(cores_allowed())
        return max(number for number in range(1, cores + 1) if num_envs % number == 0)
    check_even(num_envs, ranks)
    return ranks
