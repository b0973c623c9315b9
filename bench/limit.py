"""What the machine allows for the article's run: seconds of an environment step, part by part, beside ours.

The limit is the sum of the bare environments, of BLAS calls with the shapes of one rollout and of one update (each with
its best number of threads), and of the bytes that Adam and the gradient's norm must move, at the bandwidth of BLAS's
axpy on arrays of that size. Everything takes turns in slices of less than a second. Needs an idle machine:

    python bench/limit.py
    python bench/limit.py --quick

It writes the numbers to runs/bench/limit.json.
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from contest import Result, machine, parser, write
from end_to_end import ROWS
from gym_envs import Alone
from protocol import Job
from scipy.linalg.blas import saxpy
from slices import Training, alone_seconds, per_call
from turns import spread

from ppo_np.checkpoint import library_versions
from ppo_np.threads import limit_blas_threads

THREADS = (1, 2)
ADAM_AND_NORM = 8 * 4  # bytes a parameter: p, m, v and the gradient are read, p, m and v written; the norm reads again


def products(shapes: Sequence[tuple[int, int]], rows: int, backward: bool) -> Callable[[], None]:
    """A function that does the matrix products of one pass through layers (I, O); the input has no gradient."""
    calls, rng = [], np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    for layer, (fan_in, width) in enumerate(shapes):
        x, weight, out = array(rows, fan_in), array(fan_in, width), array(rows, width)
        calls.append((x, weight, out))
        if backward:
            calls.append((x.T, array(rows, width), array(fan_in, width)))
        if backward and layer:
            calls.append((array(rows, width), weight.T, array(rows, fan_in)))

    def run() -> None:
        for left, right, out in calls:
            np.dot(left, right, out=out)

    return run


def parts(job: Job, training: Training, seconds: float) -> dict[str, Callable[[], float]]:
    """By name, functions that measure seconds of an environment step."""
    model = training.ppo.model
    shapes = [shape for name, shape in model.shapes.items() if name.endswith("weight")]
    size = model.params.size
    act, learn = products(shapes, job.num_envs, False), products(shapes, job.minibatch_size, True)
    minibatches, alone = job.num_minibatches * job.update_epochs, Alone(job)
    arrays = np.ones((4, size), np.float32)

    def move() -> None:
        saxpy(arrays[0], arrays[1], a=1e-9)
        saxpy(arrays[2], arrays[3], a=1e-9)

    def moved() -> float:
        bandwidth = 2 * 3 * 4 * size / per_call(move, seconds / 4)
        return minibatches * ADAM_AND_NORM * size / bandwidth / job.batch_size

    return {
        "environment": lambda: alone_seconds(alone, seconds / 2),
        "products, inference": lambda: per_call(act, seconds / 4) * job.num_steps / job.batch_size,
        "products, update": lambda: per_call(learn, seconds / 2) * minibatches / job.batch_size,
        "memory of Adam and norm": moved,
    }


def one_round(training: dict[int, Training], measured: dict[str, Callable[[], float]], seconds: float) -> Result:
    """Microseconds of a step: ours, and each part of the limit, by the number of threads."""
    found = {}
    for threads, ours in training.items():
        found[threads] = {"ours": ours.seconds_a_step(seconds) * 1e6}
        with limit_blas_threads(threads):
            found[threads] |= {name: measure() * 1e6 for name, measure in measured.items()}
    return found


def judged(rounds: Sequence[Result]) -> Result:
    """Each part with its best number of threads by the median; limit / ours, round by round."""
    best = {}
    for name in rounds[0][THREADS[0]]:
        best[name] = min(THREADS, key=lambda threads, name=name: median(one[threads][name] for one in rounds))
    columns = {name: [one[threads][name] for one in rounds] for name, threads in best.items()}
    ours = columns.pop("ours")
    limits = [sum(values) for values in zip(*columns.values(), strict=True)]
    return {
        "microseconds": {name: spread(values, "q1", "q3") for name, values in columns.items()},
        "threads": best,
        "limit": spread(limits, "q1", "q3"),
        "ours": spread(ours, "q1", "q3"),
        "share": spread([limit / one for limit, one in zip(limits, ours, strict=True)], "q1", "q3"),
    }


def options_of() -> argparse.Namespace:
    """Options from the command line."""
    options = parser(__doc__, "limit")
    options.add_argument("--rounds", type=int, default=20, help="slices of everything (default 20)")
    return options.parse_args()


def main() -> None:
    """Measure round by round, print the parts, write the JSON file."""
    options = options_of()
    job = ROWS["c"].job
    rounds, seconds = (2, 0.2) if options.quick else (options.rounds, 0.7)
    document = {"benchmark": "limit", "quick": options.quick} | machine() | {"versions": library_versions()}
    training = {threads: Training(dataclasses.replace(job, threads=threads)) for threads in THREADS}
    measured = parts(job, training[THREADS[0]], seconds)
    document |= judged([one_round(training, measured, seconds) for _ in range(rounds)])
    for name, found in (document["microseconds"] | {"limit": document["limit"], "ours": document["ours"]}).items():
        print(f"{name}: {found['median']:.1f} us a step ({found['q1']:.1f} to {found['q3']:.1f})")
    print(f"share of the limit: {document['share']['median']:.2f}")
    write(options.out, document)


if __name__ == "__main__":
    main()
