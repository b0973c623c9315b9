"""Seconds of what ranks do together: sums by bytes, and what an update needs beside them, as JSON."""

import json
import sys
from collections.abc import Callable
from time import perf_counter

import numpy as np

from ppo_np.dealer import Dealer, shuffled
from ppo_np.mpi import MPIRanks, world
from ppo_np.rollout import RolloutBuffer, RolloutReport
from ppo_np.stream import Episode

BYTES = (8, 1_024, 16_384, 131_072, 524_288, 1_048_576, 4_255_788)
SECONDS = 0.4  # for each figure


def mean_seconds(ranks: MPIRanks, work: Callable[[], object]) -> float:
    """The mean over as many calls as fill the time; all ranks do as many."""
    work()
    begin = perf_counter()
    for _ in range(5):
        work()
    each = ranks.share(lambda: (perf_counter() - begin) / 5)
    calls = max(20, round(SECONDS / each))
    begin = perf_counter()
    for _ in range(calls):
        work()
    return (perf_counter() - begin) / calls


def ping_pong(ranks: MPIRanks, size: int) -> float:
    """Seconds for so many bytes from rank 0 to rank 1, half of a round trip."""
    data = np.zeros(size, np.uint8)

    def there_and_back() -> None:
        if ranks.rank == 0:
            ranks.comm.Send(data, 1)
            ranks.comm.Recv(data, 1)
        elif ranks.rank == 1:
            ranks.comm.Recv(data, 0)
            ranks.comm.Send(data, 0)

    return mean_seconds(ranks, there_and_back) / 2


def deal(
    ranks: MPIRanks, num_steps: int, num_envs: int, num_minibatches: int, update_epochs: int
) -> Callable[[], object]:
    """The dealing of an update's epochs."""
    dealer = Dealer(ranks, num_steps, num_envs)
    rows = shuffled(np.arange(num_steps * num_envs), update_epochs, np.random.default_rng(0))
    advantages = np.ones(num_steps * num_envs // ranks.size, np.float32)
    return lambda: dealer.deal(rows, num_minibatches, advantages)


def update(ranks: MPIRanks, num_steps: int, num_envs: int, gradient_bytes: int) -> Callable[[], object]:
    """What ranks tell each other once an update."""
    own = num_envs // ranks.size
    dealer = Dealer(ranks, num_steps, num_envs)
    valid, params = np.ones((num_steps, own), bool), np.zeros(gradient_bytes // 4, np.float32)
    report = RolloutReport(num_steps, num_steps * own, [Episode(0.0, 1)] * own, [0] * own)
    buffer = RolloutBuffer.__new__(RolloutBuffer)
    buffer.returns, buffer.valid = np.random.default_rng(0).random((num_steps, own), np.float32), valid
    buffer.values = np.zeros((num_steps + 1, own), np.float32)

    def once() -> None:
        ranks.any(False)
        report.of_all(ranks)
        dealer.rows(valid)
        ranks.check_same(params, 1)
        buffer.explained_variance(ranks)

    return once


def main() -> None:
    """Measure; the job is T, N, M, E and the bytes of a gradient, as JSON, on the command line."""
    ranks, (num_steps, num_envs, num_minibatches, update_epochs, gradient_bytes) = world(), json.loads(sys.argv[1])
    from mpi4py import MPI  # as `world` has set it up

    sums, allreduces = {}, {}
    for size in sorted({*BYTES, gradient_bytes}):
        numbers = np.ones(max(1, size // 4), np.float32)
        sums[size] = mean_seconds(ranks, lambda numbers=numbers: ranks.sum(numbers))
        allreduces[size] = mean_seconds(
            ranks, lambda numbers=numbers: ranks.comm.Iallreduce(MPI.IN_PLACE, numbers).Wait()
        )
    result = {
        "ranks": ranks.size,
        "sums": sums,
        "allreduces": allreduces,
        "deal": mean_seconds(ranks, deal(ranks, num_steps, num_envs, num_minibatches, update_epochs)),
        "update": mean_seconds(ranks, update(ranks, num_steps, num_envs, gradient_bytes)),
        "messages": {size: ping_pong(ranks, size) for size in BYTES},
    }
    if ranks.rank == 0:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
