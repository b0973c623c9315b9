"""Ranks of MPI on this machine: steps a second of 1, 2 and 4, and a model of their cost that foresees them.

The pieces are measured by themselves: what a rank does alone (a rollout with its share of the environments, a minibatch
of its rows) and what ranks do together (sums by bytes, the dealing, what is told once an update), before the runs and
after them. cost_model.py puts them together; one rank's run sets the pace of the machine. Whole runs take turns,
update for update, each time after some that are not timed, and are compared with that. What two cores are worth is told
by two processes that have nothing to do with each other. It needs the extra `mpi`.
"""

import dataclasses
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from bench.contests.contest import (
    Contestant,
    last_line,
    new_document,
    on_ranks,
    parser,
    show,
    versions_of,
    write,
)
from bench.contests.cost_model import NETWORKS, Work, scaled, sum_here, update_here
from bench.contests.end_to_end import ARTICLE
from bench.contests.turns import Pace, Seat, spread
from bench.machine import ROOT, limits
from bench.peers.protocol import Job
from bench.report.ranks_section import ranks_section

SIZES = (1, 2, 4)
HOSTS = (8, 64, 512)
JOB = Job(num_envs=16)
OVER_TCP = {"MPIR_CVAR_NOLOCAL": "1", "UCX_TLS": "tcp"}  # MPICH: not through shared memory, though on one host


def started(*arguments: str, ranks: int = 1, env: dict[str, str] | None = None) -> subprocess.Popen:
    """A process that measures pieces: `python -m bench.peers.pieces` with these arguments."""
    command = [*(on_ranks(ranks) if ranks > 1 else []), sys.executable, "-m", "bench.peers.pieces", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | limits(1) | (env or {}), **pipes)


def told(process: subprocess.Popen, timeout: float = 600) -> Any:
    """What a process prints as JSON, in its last line."""
    out, errors = process.communicate(timeout=timeout)
    if process.returncode:
        raise RuntimeError(f"{' '.join(process.args)} failed: {last_line(errors)}")
    return json.loads(out.splitlines()[-1])


def alone(job: Job, sizes: tuple[int, ...]) -> Any:
    """The pieces of a rank by itself, by numbers of ranks that share the job."""
    return told(started("alone", json.dumps(dataclasses.asdict(job)), json.dumps(sizes)))


def together(job: Job, size: int, env: dict[str, str] | None = None) -> Any:
    """The pieces of so many ranks together."""
    arguments = json.dumps(dataclasses.asdict(job)), str(gradient_bytes(job))
    return told(started("together", *arguments, ranks=size, env=env))


def pieces(sizes: tuple[int, ...]) -> dict[str, Any]:
    """What a rank does alone and what ranks do together, for the job, by numbers of ranks."""
    return {"alone": alone(JOB, sizes), "together": {str(size): together(JOB, size) for size in sizes[1:]}}


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
    contestants = [
        Contestant(f"{size} rank{'s'[: size > 1]}", "bench.peers.ours_on_ranks", threads=(1,), ranks=size)
        for size in sizes
    ]
    with ExitStack() as stack:
        seats = [stack.enter_context(Seat(contestant, JOB, pace)) for contestant in contestants]
        for seat in seats:
            seat.go(updates)  # the first ones may compile
            seat.updates, seat.untimed = updates, max(1, updates * 2 // 3)
        for _ in range(pace.rounds):
            for seat in seats:
                seat.turn()
        why = [seat.why for seat in seats if seat.why]
        if why:
            raise RuntimeError(why[0])
    rates = {str(size): [told["rate"] for told in seat.slices] for size, seat in zip(sizes, seats, strict=True)}
    ratios = {size: [rate / one for rate, one in zip(own, rates["1"], strict=True)] for size, own in rates.items()}
    found = {size: spread(own, "q1", "q3") | {"ratio": spread(ratios[size], "q1", "q3")} for size, own in rates.items()}
    return found | {"versions": versions_of([seat.introduction for seat in seats])}


def two_cores(repeats: int) -> dict[str, float]:
    """Rollouts of two processes at the same time, each with half the environments, over those of one with all."""
    half = dataclasses.replace(JOB, num_envs=JOB.num_envs // 2)

    def rate(*jobs: Job) -> float:
        processes = [started("alone", json.dumps(dataclasses.asdict(job)), "[]") for job in jobs]
        return sum(job.batch_size / told(one)["rollout"] for job, one in zip(jobs, processes, strict=True))

    return spread([rate(half, half) / rate(JOB) for _ in range(repeats)], "q1", "q3")


def gradient_bytes(job: Job) -> int:
    """Of a sum: the parameters of LunarLander's network and the loss terms, in float32."""
    widths = [8, *job.shared_sizes]
    stacks = [[*widths[-1:], *job.policy_sizes, 4], [*widths[-1:], *job.value_sizes, 1], widths]
    return 4 * (6 + sum((i + 1) * o for stack in stacks for i, o in pairwise(stack)))


def work_of(name: str, job: Job, pieces: Any) -> Work:
    """What one rank does alone, to be scaled; `pieces` are of the whole job and of half of it."""
    whole, half = pieces["runs"]["1"], pieces["runs"]["2"]
    fixed = max(0.0, 2 * half["minibatch"] - whole["minibatch"])
    return Work(
        name, whole["rollout"], whole["deviation"], whole["minibatch"], fixed, job.minibatch_size, job.batch_size,
        job.num_minibatches, job.update_epochs, gradient_bytes(job), pieces["deal_per_row"],
    )  # fmt: skip


def main() -> None:
    """Measure the pieces, then the runs; compare; look further; write the JSON file."""
    options = parser(__doc__, "ranks", timeout=600, rounds=12)
    options.add_argument("--updates", type=int, default=30, help="of a slice (default 30)")
    options = options.parse_args()
    sizes = SIZES[:2] if options.quick else SIZES
    rounds, updates = (2, 2) if options.quick else (options.rounds, options.updates)
    pace = Pace(rounds, timeout=options.timeout)
    document = new_document("ranks", options) | {"job": dataclasses.asdict(JOB), "gradient_bytes": gradient_bytes(JOB)}
    before = pieces(sizes)
    runs = measured(pace, updates, sizes)
    document |= mean_of(before, pieces(sizes))
    document["versions"] = runs.pop("versions")
    document["here"], document["two_cores"] = runs, two_cores(1 if options.quick else 7)
    # The machine is not the same from minute to minute: one rank's run says how quick it was.
    document["pace"] = runs["1"]["median"] * update_here(document, 1) / JOB.batch_size
    for size, row in runs.items():
        row["foreseen"] = document["pace"] * JOB.batch_size / update_here(document, int(size))
        row["off"] = row["foreseen"] / row["median"] - 1
    document["tcp"] = tcp(document)
    article = dataclasses.replace(JOB, num_envs=4, **ARTICLE)
    works = [
        work_of("2 x [64, 64], 16 environments a rank", JOB, document["alone"]),
        work_of("the article's [1024, 1024], 4 environments a rank", article, alone(article, (1, 2))),
    ]
    document["networks"] = [dataclasses.asdict(network) for network in NETWORKS]
    document["works"] = [dataclasses.asdict(work) for work in works]
    document["outlook"] = [
        {"work": work.name, "network": network.name, "ranks": size, **scaled(work, network, size)}
        for work in works
        for network in NETWORKS
        for size in HOSTS
    ]
    show(ranks_section(document))
    write(options.out, document)


def tcp(document: dict[str, Any]) -> dict[str, Any]:
    """The formula for a network, tried on one: two ranks that talk by TCP through the machine's own loopback.

    alpha and the bandwidth come from messages to and fro; foreseen are sums, which are measured as well.
    """
    found = together(JOB, 2, OVER_TCP)
    messages = {int(size): seconds for size, seconds in found["messages"].items()}
    small, large = min(messages), max(messages)
    alpha = messages[small]
    bandwidth = (large - small) / (messages[large] - alpha)
    rows = []
    for size, seconds in found["allreduces"].items():
        foreseen = min(alpha + int(size) / bandwidth, 2 * alpha + int(size) / bandwidth)
        rows.append({"bytes": int(size), "measured": seconds, "foreseen": foreseen})
    shared = sum_here(document, document["gradient_bytes"], 2)
    return {"alpha": alpha, "bandwidth": bandwidth, "rows": rows, "shared_memory": shared}


if __name__ == "__main__":
    main()
