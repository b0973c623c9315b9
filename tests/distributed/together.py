"""Do all runs on ranks of MPI; rank 0 writes FILE: mpiexec -n R python together.py FILE DTYPE."""

import sys

import numpy as np
from small_runs import RUNS, conditions, train

from ppo_np.distributed.mpi import world


def main() -> None:
    path, dtype = sys.argv[1], np.dtype(sys.argv[2]).type
    ranks, results = world(), {}
    for name in RUNS:
        with conditions(name, dtype):
            results |= {f"{name}/{part}": array for part, array in train(name, ranks).items()}
    if ranks.rank == 0:
        np.savez(path, size=ranks.size, **results)


if __name__ == "__main__":
    main()
