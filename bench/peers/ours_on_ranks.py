"""ppo_np on the ranks of MPI that have been started; rank 0 speaks for all."""

import dataclasses
import os
import sys
import tempfile
from multiprocessing.connection import Client, Connection, Listener
from typing import NoReturn

from bench.ours import config_of
from bench.peers.protocol import Clock, Job, perform
from ppo_np import PPO
from ppo_np.distributed.mpi import world
from ppo_np.distributed.ranks import Ranks


def lines(ranks: Ranks) -> list[Connection]:
    """From rank 0 to each of the others, from each of these to rank 0: who waits for MPI would spin."""
    path = ranks.allgather(os.path.join(tempfile.mkdtemp(), "turns") if ranks.rank == 0 else None)[0]
    if ranks.rank:
        ranks.any(False)  # rank 0 listens now
        return [Client(path)]
    with Listener(path) as listener:
        ranks.any(False)
        return [listener.accept() for _ in range(ranks.size - 1)]


def train(job: Job, clock: Clock) -> NoReturn:
    """Train; ranks wait for the next slice as rank 0 does, asleep."""
    ranks = world()
    share = max(1, job.num_env_threads // ranks.size)
    ppo, others = PPO(dataclasses.replace(config_of(job), num_env_threads=share), ranks=ranks), lines(ranks)

    def next_slice() -> int:
        if ranks.rank:
            return others[0].recv()
        for other in others:
            other.send(clock.left)
        return clock.left

    def after_update(ppo: PPO, _metrics: object) -> None:
        nonlocal left
        left -= 1
        if ranks.rank == 0:
            clock.mark(ppo.global_step)
        if left == 0:
            left = next_slice()

    if ranks.rank == 0:
        clock.start()
    left = next_slice()
    ppo.learn(after_update)


if __name__ == "__main__":
    if world().rank:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    perform("ppo_np", ("numpy", "numba", "scipy", "gymnasium", "mpi4py", "mpich"), train=train)
