"""Ranks of MPI on this machine: steps a second of 1, 2 and 4, and a model of their cost that foresees them.

The pieces are measured by themselves: what a rank does alone (a rollout with its share of the environments, a minibatch
of its rows) and what ranks do together (sums by bytes, the dealing, what is told once an update), before the runs and
after them. bench/cost_model.py puts them together; one rank's run sets the pace of the machine. Whole runs take turns,
update for update, each time after some that are not timed, and are compared with that. What two cores are worth is told
by two processes that have nothing to do with each other. Needs the extra `mpi`, an idle machine and two cores:

    python bench/ranks.py
    python bench/ranks.py --quick

It writes the numbers to runs/bench/ranks.json.
"""

import dataclasses
import json
import os
import subprocess
import sys
from itertools import pairwise
from typing import Any

from contest import PEERS, Contestant, limits, machine, parser, versions_of, write
from cost_model import NETWORKS, Work, scaled, sum_here, update_here
from end_to_end import ARTICLE
from protocol import Job
from rich.console import Console
from rich.table import Table
from turns import Pace, Seat, spread

from ppo_np.launch import find_mpiexec

SIZES = (1, 2, 4)
HOSTS = (8, 64, 512)
JOB = Job(num_envs=16)
OVER_TCP = {"MPIR_CVAR_NOLOCAL": "1", "UCX_TLS": "tcp"}  # MPICH: not through shared memory, though on one host


def told_by(*command: str, env: dict[str, str] | None = None, timeout: float = 600) -> Any:
    """What a process prints as JSON, in its last line."""
    done = subprocess.run(
        command, env=os.environ | limits(1) | (env or {}), capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def alone(job: Job, sizes: tuple[int, ...]) -> Any:
    """The pieces of a rank by itself, by numbers of ranks that share the job."""
    script, text = str(PEERS / "pieces_alone.py"), json.dumps(dataclasses.asdict(job))
    return told_by(sys.executable, script, text, json.dumps(sizes))


def together(job: Job, size: int, env: dict[str, str] | None = None) -> Any:
    """The pieces of so many ranks together."""
    shape = json.dumps([job.num_steps, job.num_envs, job.num_minibatches, job.update_epochs, gradient_bytes(job)])
    script = str(PEERS / "pieces_mpi.py")
    return told_by(find_mpiexec(), "-n", str(size), sys.executable, script, shape, env=env)


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
        Contestant(f"{size} rank{'s'[: size > 1]}", "run_ranks.py", threads=(1,), ranks=size) for size in sizes
    ]
    seats = []
    try:
        for contestant in contestants:
            seats.append(Seat(contestant, JOB, pace))
            seats[-1].go(updates)  # the first ones may compile
            seats[-1].updates, seats[-1].untimed = updates, max(1, updates * 2 // 3)
        for _ in range(pace.rounds):
            for seat in seats:
                seat.turn()
        why = [seat.why for seat in seats if seat.why]
        if why:
            raise RuntimeError(why[0])
        rates = {str(size): [told["rate"] for told in seat.slices] for size, seat in zip(sizes, seats, strict=True)}
        ratios = {size: [rate / one for rate, one in zip(own, rates["1"], strict=True)] for size, own in rates.items()}
        return {
            size: spread(own, "q1", "q3") | {"ratio": spread(ratios[size], "q1", "q3")} for size, own in rates.items()
        } | {"versions": versions_of([seat.introduction for seat in seats])}
    finally:
        for seat in seats:
            seat.__exit__()


def two_cores(repeats: int) -> dict[str, float]:
    """Rollouts of two processes at the same time, each with half the environments, over those of one with all."""
    half = dataclasses.replace(JOB, num_envs=JOB.num_envs // 2)
    script = str(PEERS / "pieces_alone.py")

    def rates(*jobs: Job) -> list[float]:
        commands = [[sys.executable, script, json.dumps(dataclasses.asdict(job)), "[]"] for job in jobs]
        processes = [
            subprocess.Popen(command, env=os.environ | limits(1), stdout=subprocess.PIPE, text=True)
            for command in commands
        ]
        told = [json.loads(process.communicate()[0])["rollout"] for process in processes]
        return [job.batch_size / seconds for job, seconds in zip(jobs, told, strict=True)]

    return spread([sum(rates(half, half)) / sum(rates(JOB)) for _ in range(repeats)], "q1", "q3")


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


def show(document: dict[str, Any]) -> None:
    """Print the comparison and the outlook."""
    console, table = Console(), Table(title="Steps a second on ranks of this machine")
    for heading in ("ranks", "measured", "quartiles", "times one", "foreseen", "off by"):
        table.add_column(heading, justify="right", no_wrap=True)
    for size, row in document["here"].items():
        quartiles = f"{row['q1']:,.0f} to {row['q3']:,.0f}"
        figures = f"{row['ratio']['median']:.2f}", f"{row['foreseen']:,.0f}", f"{row['off']:+.1%}"
        table.add_row(size, f"{row['median']:,.0f}", quartiles, *figures)
    console.print(table)
    console.print(*document["outlook"], sep="\n", highlight=False, soft_wrap=True)


def main() -> None:
    """Measure the pieces, then the runs; compare; look further; write the JSON file."""
    options = parser(__doc__, "ranks", timeout=600)
    options.add_argument("--rounds", type=int, default=12, help="slices of each number of ranks (default 12)")
    options.add_argument("--updates", type=int, default=30, help="of a slice (default 30)")
    options = options.parse_args()
    sizes = SIZES[:2] if options.quick else SIZES
    rounds, updates = (2, 2) if options.quick else (options.rounds, options.updates)
    pace = Pace(rounds, timeout=options.timeout)
    document = {"benchmark": "ranks", "quick": options.quick} | machine()
    document |= {"job": dataclasses.asdict(JOB), "gradient_bytes": gradient_bytes(JOB)}
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
    show(document)
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
