"""Ranks of MPI on this machine: steps a second of 1, 2 and 4, and a model of their cost that foresees them.

The pieces are measured by themselves: what a rank does alone (a rollout with its share of the environments, a minibatch
of its rows) and what ranks do together (sums by bytes, the dealing, what is told once an update), before the runs and
after them. cost_model.py puts them together; one rank's run sets the pace of the machine. Whole runs take turns,
update for update, each time after some that are not timed, and are compared with that. What two cores are worth is told
by two processes that have nothing to do with each other. It needs the extra `mpi`.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from typing import Any

from bench.contests.contest import Contestant, answer, begin, command, show, versions_of, write
from bench.contests.cost_model import NETWORKS, scaled, update_here
from bench.contests.end_to_end import ARTICLE
from bench.contests.turns import Pace, Seat, spread
from bench.ours import model_of
from bench.peers.protocol import Job
from bench.report.ranks_section import ranks_section

HOSTS = (8, 64, 512)
JOB = Job(num_envs=16)
OVER_TCP = {"MPIR_CVAR_NOLOCAL": "1", "UCX_TLS": "tcp"}  # MPICH: not through shared memory, though on one host
UPDATES, TIMEOUT = 30, 600


def alone(job: Job, sizes: tuple[int, ...]) -> Any:
    """The pieces of a rank by itself, by numbers of ranks that share the job."""
    return answer(command("bench.peers.pieces", "alone", job, sizes), TIMEOUT)


def together(size: int, **env: str) -> Any:
    """The pieces of so many ranks together, for the job."""
    asked = command("bench.peers.pieces", "together", JOB, gradient_bytes(JOB), ranks=size)
    return answer(asked | {"env": asked["env"] | env}, TIMEOUT)


def pieces(sizes: tuple[int, ...]) -> dict[str, Any]:
    """What a rank does alone and what ranks do together, for the job, by numbers of ranks."""
    return {"alone": alone(JOB, sizes), "together": {str(size): together(size) for size in sizes[1:]}}


def mean_of(one: Any, other: Any) -> Any:
    """The mean of two numbers, or of all numbers in two dictionaries of the same keys."""
    if isinstance(one, dict):
        return {key: mean_of(one[key], other[key]) for key in one}
    return (one + other) / 2


def measured(pace: Pace, updates: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Steps a second of whole runs on so many ranks, which take turns in slices of so many updates.

    All have done as many updates in each round, so that they play alike: what an environment's step costs changes while
    the policy learns. "ratio" is how many times as quick as one rank, round by round. Each slice begins with updates
    that are not timed: a core that was idle takes its time until it is as quick as in a run that goes on.
    """
    with ExitStack() as stack:
        module, threads = "bench.peers.ours_on_ranks", (1,)
        contestants = [Contestant(f"{size} ranks", module, threads=threads, ranks=size) for size in sizes]
        seats = [stack.enter_context(Seat(contestant, JOB, pace)) for contestant in contestants]
        for seat in seats:
            seat.go(updates)  # the first ones may compile
            seat.updates, seat.untimed = updates, max(1, updates * 2 // 3)
        for _ in range(pace.rounds):
            for seat in seats:
                seat.turn()
                if seat.why:
                    raise RuntimeError(seat.why)
    rates = [[told["rate"] for told in seat.slices] for seat in seats]
    ratios = [[rate / one for rate, one in zip(own, rates[0], strict=True)] for own in rates]
    found = [spread(own) | {"ratio": spread(ratio)} for own, ratio in zip(rates, ratios, strict=True)]
    return {
        "here": dict(zip(map(str, sizes), found, strict=True)),
        "versions": versions_of([seat.introduction for seat in seats]),
    }


def two_cores(repeats: int) -> dict[str, float]:
    """Rollouts of two processes at the same time, each with half the environments, over those of one with all."""
    half = dataclasses.replace(JOB, num_envs=JOB.num_envs // 2)

    def rate(*jobs: Job) -> float:
        with ThreadPoolExecutor() as pool:
            told = list(pool.map(lambda job: alone(job, ()), jobs))
        return sum(job.batch_size / one["rollout"] for job, one in zip(jobs, told, strict=True))

    return spread([rate(half, half) / rate(JOB) for _ in range(repeats)])


def gradient_bytes(job: Job) -> int:
    """Of a sum: the parameters of LunarLander's network and the loss terms, in float32."""
    sizes = {name: getattr(job, name) for name in ("shared_sizes", "policy_sizes", "value_sizes")}
    return model_of(**sizes).grads_and_terms.nbytes


def work_of(name: str, job: Job, pieces: Any) -> dict[str, Any]:
    """What one rank does by itself, to be scaled; `pieces` are of the whole job and of half of it.

    Returns:
        name: for the table. rollout, deviation: seconds of a rollout, and how much they vary. minibatch: seconds of an
        update over its minibatches. fixed: those that do not shrink with its rows. rows: of a minibatch. transitions:
        of a rollout. deal_per_row: seconds to shuffle and deal a row of all ranks', which every rank does.
    """
    whole, half = pieces["runs"]["1"], pieces["runs"]["2"]
    return {
        "name": name,
        **whole,
        "fixed": max(0.0, 2 * half["minibatch"] - whole["minibatch"]),
        "rows": job.minibatch_size,
        "transitions": job.batch_size,
        "minibatches": job.num_minibatches,
        "epochs": job.update_epochs,
        "gradient_bytes": gradient_bytes(job),
        "deal_per_row": pieces["deal_per_row"],
    }


def tcp() -> dict[str, Any]:
    """The formula for a network, tried on one: two ranks that talk by TCP through the machine's own loopback.

    alpha and the bandwidth come from messages to and fro; foreseen are sums, which are measured as well.
    """
    found = together(2, **OVER_TCP)
    (small, alpha), *_, (large, slowest) = found["messages"].items()
    bandwidth = (int(large) - int(small)) / (slowest - alpha)
    rows = [
        {"bytes": int(size), "measured": seconds, "foreseen": alpha + int(size) / bandwidth}
        for size, seconds in found["allreduces"].items()
    ]
    return {"alpha": alpha, "bandwidth": bandwidth, "rows": rows}


def main() -> None:
    """Measure the pieces, then the runs; compare; look further; write the JSON file."""
    options, document = begin(__doc__, "ranks", timeout=600, rounds=12)
    sizes, rounds, updates = ((1, 2), 2, 2) if options.quick else ((1, 2, 4), options.rounds, UPDATES)
    document |= {"job": dataclasses.asdict(JOB), "gradient_bytes": gradient_bytes(JOB)}
    before = pieces(sizes)
    document |= measured(Pace(rounds, timeout=options.timeout), updates, sizes)
    document |= mean_of(before, pieces(sizes))
    document["two_cores"] = two_cores(1 if options.quick else 7)
    # The machine is not the same from minute to minute: one rank's run says how quick it was.
    document["pace"] = document["here"]["1"]["median"] * update_here(document, 1) / JOB.batch_size
    for size, row in document["here"].items():
        row["foreseen"] = document["pace"] * JOB.batch_size / update_here(document, int(size))
        row["off"] = row["foreseen"] / row["median"] - 1
    article = dataclasses.replace(JOB, num_envs=4, **ARTICLE)
    works = [
        work_of("2 x [64, 64], 16 environments a rank", JOB, document["alone"]),
        work_of("the article's [1024, 1024], 4 environments a rank", article, alone(article, (1, 2))),
    ]
    document |= {"tcp": tcp(), "networks": NETWORKS, "works": works}
    document["outlook"] = [
        {"work": work["name"], "network": network["name"], "ranks": size, **scaled(work, network, size)}
        for work, network, size in product(works, NETWORKS, HOSTS)
    ]
    show(ranks_section(document))
    write(options.out, document)


if __name__ == "__main__":
    main()
