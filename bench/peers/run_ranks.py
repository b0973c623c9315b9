"""ppo_np on the ranks of MPI that have been started; rank 0 speaks for all."""

import dataclasses
import os
import sys
import time
from typing import NoReturn

from our_config import config_of
from protocol import Clock, Job, take_turns

from ppo_np import PPO
from ppo_np.mpi import world

LOOK = 2e-4  # seconds between two looks of a rank that waits for its turn: it must not spin while others are measured


def measure(job: Job, clock: Clock) -> NoReturn:
    """Train; ranks wait for the next slice as rank 0 does, asleep."""
    ranks = world()
    share = max(1, job.num_env_threads // ranks.size)
    ppo = PPO(dataclasses.replace(config_of(job), num_env_threads=share), ranks=ranks)

    def wait() -> None:
        if ranks.size == 1:
            return
        request = ranks.comm.Ibarrier()
        while not request.Test():
            time.sleep(LOOK if ranks.rank else 0)

    if ranks.rank == 0:
        clock.start()
    wait()

    def after_update(ppo: PPO, _metrics: object) -> None:
        if ranks.rank == 0:
            clock.mark(ppo.global_step)
        wait()

    ppo.learn(after_update)


if __name__ == "__main__":
    if world().rank:  # rank 0 speaks for all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    take_turns("ppo_np", ("numpy", "numba", "scipy", "gymnasium", "mpi4py", "mpich"), measure)
