"""Seconds of what a rank does by itself ("alone") and of what ranks do together ("together"); prints JSON.

    python -m bench.peers.pieces alone JOB SIZES
    mpiexec -n 2 python -m bench.peers.pieces together JOB BYTES

JOB is a `Job` as JSON. SIZES is a list of numbers of ranks: of each, a rank's share of the environments is measured; of
an empty one, the whole job alone. BYTES are those of a gradient.
"""

import json
import sys
import timeit
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from bench.ours import config_of
from bench.peers.protocol import Job, from_json
from ppo_np import PPO
from ppo_np.distributed.mpi import MPIRanks, world
from ppo_np.distributed.ranks import Ranks
from ppo_np.environments.stream import Episode
from ppo_np.learning.minibatches import MinibatchSampler
from ppo_np.learning.rollout import RolloutBuffer, RolloutReport

UPDATES, WARM = 24, 4
BYTES = (8, 1_024, 16_384, 131_072, 524_288, 1_048_576, 4_255_788)
SECONDS = 0.4  # for each figure of ranks together


def run(job: Job, num_envs: int) -> dict[str, float]:
    """The first updates of a run with so many environments: seconds of a rollout, their spread, those of a minibatch.

    A minibatch's are those of the whole update, divided: with its gathering, Adam, advantages and Python.
    """
    told = []
    ppo = PPO(config_of(replace(job, num_envs=num_envs)))

    def after_update(ppo: PPO, metrics: Any) -> None:
        told.append(metrics)
        if len(told) == UPDATES:
            ppo.stop()

    ppo.learn(after_update)
    ppo.close()
    rollouts = [one.time_env + one.time_inference for one in told[WARM:]]
    minibatch = mean(one.time_update for one in told[WARM:]) / (job.update_epochs * job.num_minibatches)
    return {"rollout": mean(rollouts), "deviation": stdev(rollouts), "minibatch": minibatch}


class OneOfMany(Ranks):
    """Rank 0 of so many, whose sums cost nothing: for what every rank has to do with all rows."""

    def __init__(self, size: int):
        self.size = size


def split(ranks: Ranks, job: Job, num_envs: int) -> Callable[[], object]:
    """Shuffle the rows of so many environments and split them into minibatches, for each epoch."""
    sampler, rng = MinibatchSampler(ranks, job.num_steps, num_envs), np.random.default_rng(0)
    valid = np.ones((job.num_steps, num_envs // ranks.size), bool)
    advantages = valid.astype(np.float32)
    return lambda: sampler.epochs(valid, job.update_epochs, job.num_minibatches, advantages, rng)


def alone(job: Job, sizes: list[int], many: int = 64) -> dict[str, Any]:
    """The share of a rank, by the number of ranks; and seconds to put one row of many ranks' rollout in a minibatch."""
    if not sizes:
        return run(job, job.num_envs)
    epoch = split(OneOfMany(many), replace(job, update_epochs=1), many * job.num_envs)
    seconds = median(timeit.repeat(epoch, number=1, repeat=9))
    runs = {size: run(job, job.num_envs // size) for size in sizes}
    return {"runs": runs, "deal_per_row": seconds / (many * job.batch_size)}


def mean_seconds(ranks: MPIRanks, work: Callable[[], object]) -> float:
    """The mean over as many calls as fill the time; all ranks do as many, rank 0 decides."""
    work()
    first = timeit.timeit(work, number=5) / 5
    calls = max(20, round(SECONDS / ranks.broadcast(lambda: first)))
    return timeit.timeit(work, number=calls) / calls


def there_and_back(ranks: MPIRanks, data: np.ndarray) -> None:
    """Send data from rank 0 to rank 1 and back."""
    if ranks.rank == 0:
        ranks.comm.Send(data, 1)
        ranks.comm.Recv(data, 1)
    elif ranks.rank == 1:
        ranks.comm.Recv(data, 0)
        ranks.comm.Send(data, 0)


def update(ranks: MPIRanks, job: Job, gradient_bytes: int) -> Callable[[], object]:
    """What ranks tell each other once an update."""
    own = job.num_envs // ranks.size
    valid, params = np.ones((job.num_steps, own), bool), np.zeros(gradient_bytes // 4, np.float32)
    report = RolloutReport(job.num_steps, job.num_steps * own, [Episode(0.0, 1)] * own, [0] * own, [{}] * own)
    buffer = RolloutBuffer.__new__(RolloutBuffer)
    buffer.returns, buffer.valid = np.random.default_rng(0).random((job.num_steps, own), np.float32), valid
    buffer.values = np.zeros((job.num_steps + 1, own), np.float32)

    def once() -> None:
        ranks.any(False)
        report.of_all(ranks)
        ranks.check_same(params, 1)
        buffer.explained_variance(ranks)

    return once


def together(job: Job, gradient_bytes: int) -> dict[str, Any]:
    """Sums by bytes, as training does them and by messages, and what an update needs beside them."""
    ranks = world()
    from mpi4py import MPI  # as `world` has set it up

    def by_messages(numbers: np.ndarray) -> None:
        ranks.comm.Iallreduce(MPI.IN_PLACE, numbers).Wait()

    numbers = {size: np.ones(size // 4, np.float32) for size in sorted({*BYTES, gradient_bytes})}
    halves = {size: mean_seconds(ranks, partial(there_and_back, ranks, np.zeros(size, np.uint8))) for size in BYTES}
    return {
        "sums": {size: mean_seconds(ranks, partial(ranks.allreduce, some)) for size, some in numbers.items()},
        "allreduces": {size: mean_seconds(ranks, partial(by_messages, some)) for size, some in numbers.items()},
        "deal": mean_seconds(ranks, split(ranks, job, job.num_envs)),
        "update": mean_seconds(ranks, update(ranks, job, gradient_bytes)),
        "messages": {size: seconds / 2 for size, seconds in halves.items()},
    }


if __name__ == "__main__":
    job, more = from_json(Job, sys.argv[2]), json.loads(sys.argv[3])
    found = {"alone": alone, "together": together}[sys.argv[1]](job, more)
    if world().rank == 0:
        print(json.dumps(found))
