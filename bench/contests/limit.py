"""What the machine allows: seconds of an environment step, part by part, beside ours; rows a to e, m of end_to_end.py.

The limit is the sum of the bare environments, of BLAS calls with the shapes of one rollout and of one update, and of
the bytes that Adam and the gradient's norm must move, at the bandwidth of BLAS's axpy on arrays of that size. Products
of wide networks have BLAS's best number of threads; those of narrow ones are of a block, and two threads are taken to
halve the update's; in row m also the environments' and the rollout's, since these are in one kernel and not in Python.
No activation, no loss, no Python is in it. On two ranks, whatever one core does is taken to be
halved, but for Adam and the norm, which each rank does for itself. Everything takes turns in slices of less than a
second.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
from scipy.linalg.blas import saxpy

from bench.contests.contest import Result
from bench.contests.end_to_end import measure_rows
from bench.contests.parts import THREADS, Training, per_call, per_unit, rows_at_once
from bench.contests.turns import spread
from bench.ours import config_of, is_wide, limit_blas_threads
from bench.peers.alone import alone_of
from bench.peers.protocol import Job
from bench.report.sections import limit_table

ENVIRONMENT, MOVING = "environment", "memory of Adam and norm"
ACTING, LEARNING = "products, inference", "products, update"
FIRST = {True: ("shared/0/weight",), False: ("policy/0/weight", "value/0/weight")}  # layers that see observations
ADAM_AND_NORM = 8  # numbers a parameter: p, m, v and the gradient are read, p, m, v written; the norm reads again
MOVED = 6  # by two calls of axpy


def products(
    shapes: Sequence[tuple[int, int]], rows: int, backward: bool, first: Sequence[int] = (0,)
) -> Callable[[], None]:
    """A function that does the matrix products of one pass through layers (I, O); to `first` ones, no gradient goes."""
    calls, rng = [], np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    for layer, (fan_in, width) in enumerate(shapes):
        x, weight, out = array(rows, fan_in), array(fan_in, width), array(rows, width)
        calls.append((x, weight, out))
        if backward:
            calls.append((x.T, array(rows, width), array(fan_in, width)))
        if backward and layer not in first:
            calls.append((array(rows, width), weight.T, array(rows, fan_in)))

    def run() -> None:
        for left, right, out in calls:
            np.dot(left, right, out=out)

    return run


def parts(job: Job, training: Training, seconds: float) -> dict[str, Callable[[], float]]:
    """By name, functions that measure seconds of an environment step."""
    policy = training.ppo.policy
    shapes = {name: shape for name, shape in policy.model.shapes.items() if name.endswith("weight")}
    first = [i for i, name in enumerate(shapes) if name in FIRST[bool(job.shared_sizes)]]
    rows, alone = rows_at_once(job, policy), alone_of(job)
    act = products(list(shapes.values()), job.num_envs, False)
    learn = products(list(shapes.values()), rows, True, first)
    arrays = np.ones((4, policy.model.params.size), np.float32)

    def move() -> None:
        saxpy(arrays[0], arrays[1], a=1e-9)
        saxpy(arrays[2], arrays[3], a=1e-9)

    moves = job.update_epochs * job.num_minibatches * ADAM_AND_NORM / MOVED
    return {
        ENVIRONMENT: lambda: per_unit(alone.rollout, seconds / 2),
        ACTING: lambda: per_call(act, seconds / 4) / job.num_envs,
        LEARNING: lambda: per_call(learn, seconds / 2) * job.update_epochs / rows,
        MOVING: lambda: per_call(move, seconds / 4) * moves / job.batch_size,
    }


def one_round(
    training: dict[int, Training], measured: dict[str, Callable[[], float]], wide: bool, seconds: float,
    shared: Sequence[str] = (LEARNING,),
) -> Result:  # fmt: skip
    """Microseconds of a step: ours, and each part of the limit, by the number of threads.

    Of narrow networks, threads are taken to divide the `shared` parts.
    """
    found = {}
    for threads, ours in training.items():
        found[threads] = {"ours": ours.seconds_a_step(seconds) * 1e6}
        with limit_blas_threads(threads if wide else 1):
            found[threads] |= {name: measure() * 1e6 for name, measure in measured.items()}
        if not wide:
            found[threads] |= {name: found[threads][name] / threads for name in shared}
    return found


def judged(rounds: Sequence[Result], fixed: Mapping[str, int]) -> Result:
    """Each part with its best number of threads by the median, or its only one; the limit over ours, round by round.

    `on_ranks` is the limit of two ranks: what has one thread is halved, but for Adam and the norm.
    """
    best, columns = dict(fixed), {}
    for name in rounds[0][THREADS[0]]:
        of_threads = {threads: [one[threads][name] for one in rounds] for threads in THREADS}
        best.setdefault(name, min(THREADS, key=lambda threads, of_threads=of_threads: median(of_threads[threads])))
        columns[name] = of_threads[THREADS[0] if name in fixed else best[name]]
    ours = columns.pop("ours")
    limits = [sum(values) for values in zip(*columns.values(), strict=True)]
    found = {name: spread(values) for name, values in columns.items()}
    middle = {name: value["median"] for name, value in found.items()}
    shared = {name: value * best[name] / len(THREADS) for name, value in middle.items()}
    on_ranks = sum(shared.values()) - shared[MOVING] + middle[MOVING]
    return {
        "microseconds": found,
        "threads": best,
        "limit": spread(limits),
        "on_ranks": float(f"{on_ranks:.5g}"),
        "ours": spread(ours),
        "share": spread([limit / one for limit, one in zip(limits, ours, strict=True)]),
    }


def measure(job: Job, rounds: int, seconds: float) -> Result:
    """The limit of one row, and ours beside it."""
    training = {threads: Training(dataclasses.replace(job, threads=threads)) for threads in THREADS}
    wide = is_wide(config_of(job), training[1].ppo.policy.observations.size)
    measured = parts(job, training[1], seconds)
    shared = (ENVIRONMENT, ACTING, LEARNING) if job.vectorization == "compiled" else (LEARNING,)
    # The threads of those parts that do not depend on the number of ours.
    fixed = {ENVIRONMENT: job.num_env_threads} | ({} if wide else {ACTING: 1, MOVING: 1})
    fixed = {name: threads for name, threads in fixed.items() if name not in shared}
    found = judged([one_round(training, measured, wide, seconds, shared) for _ in range(rounds)], fixed)
    for one in training.values():
        one.ppo.close()
    return found


if __name__ == "__main__":
    measure_rows(__doc__, "limit", "limits", "abcdem", measure, limit_table)
