"""How speed scales: steps a second by number of environments, width of the network and size of the minibatch.

Each point is measured with one and with two threads of matrix products, in slices that take turns over all points of a
curve, beside its limit: the environments alone, or the seconds that BLAS needs for the update's matrix products at the
best rate that it reaches here on any shape. It also draws the curves.
"""

import dataclasses
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np

from bench.contests.contest import new_document, parser, write
from bench.contests.slices import Training, alone_seconds, per_call
from bench.ours import limit_blas_threads
from bench.peers.alone import Alone
from bench.peers.protocol import Job
from bench.report.charts import scaling

THREADS = (1, 2)
PEAK_SHAPES = (512, 1024, 2048)
CARTPOLE = Job(env_id="CartPole-v1", vectorization="vector")
CAPTION = (
    "Steps a second (ours, medians) with one and two threads, and the limit: for environments, them alone; for width "
    "and minibatch, the matrix products of acting and learning at the best rate of BLAS here."
)


def wide(size: int, **settings: int) -> Job:
    """CartPole with two shared layers of this width, one epoch: the environment costs next to nothing."""
    sizes = {"shared_sizes": (size, size), "policy_sizes": (), "value_sizes": (), "activation": "relu"}
    return dataclasses.replace(CARTPOLE, update_epochs=1, **sizes, **settings)


# By the title: the job at a point, the points, and what limits it. The last one has a rollout of 8,192 rows.
CURVES: Mapping[str, tuple[Callable[[int], Job], tuple[int, ...], str]] = {
    "LunarLander-v3, number of environments": (lambda n: Job(num_envs=n), (1, 4, 16, 64), "environment"),
    "CartPole-v1, number of environments": (
        lambda n: dataclasses.replace(CARTPOLE, num_envs=n), (1, 4, 16, 64, 256), "environment",
    ),
    "CartPole-v1, width of two layers": (
        lambda size: wide(size, num_envs=16), (32, 64, 128, 256, 512, 1024, 2048), "products",
    ),
    "CartPole-v1, rows of a minibatch": (
        lambda rows: wide(256, num_envs=64, num_minibatches=8192 // rows),
        (64, 128, 256, 512, 1024, 2048, 4096, 8192), "products",
    ),
}  # fmt: skip


def peak_flops(seconds: float) -> float:
    """The most floating-point operations a second that BLAS does here, over some square shapes and the threads."""
    best = 0.0
    for threads in THREADS:
        for size in PEAK_SHAPES:
            left, right = np.ones((2, size, size), np.float32)
            out = np.empty_like(left)
            with limit_blas_threads(threads):
                each = per_call(lambda left=left, right=right, out=out: np.dot(left, right, out=out), seconds)
            best = max(best, 2 * size**3 / each)
    return best


def flops_a_step(training: Training, job: Job) -> float:
    """Of the matrix products: 2 I O forward for acting, and in each epoch 2 I O forward and about twice that back."""
    shapes = training.ppo.policy.model.shapes
    weights = sum(np.prod(shape) for name, shape in shapes.items() if name.endswith("weight"))
    return 2.0 * float(weights) * (1 + 3 * job.update_epochs)


def limit_of(kind: str, job: Job, training: Training, peak: float) -> Callable[[float], float]:
    """A function that takes seconds and gives the limit, in seconds a step."""
    if kind == "products":
        return lambda _seconds: flops_a_step(training, job) / peak
    alone = Alone(job)
    return lambda seconds: alone_seconds(alone, seconds)


def curve(name: str, rounds: int, seconds: float, peak: float) -> dict[str, Any]:
    """Median steps a second at each point, by number of threads, and the limit."""
    job_at, points, kind = CURVES[name]
    training = {
        (point, threads): Training(dataclasses.replace(job_at(point), threads=threads))
        for point in points
        for threads in THREADS
    }
    limits = {point: limit_of(kind, job_at(point), training[point, THREADS[0]], peak) for point in points}
    told = {key: [] for key in (*training, *points)}
    for _ in range(rounds):
        for point in points:
            for threads in THREADS:
                told[point, threads].append(training[point, threads].seconds_a_step(seconds))
            told[point].append(limits[point](seconds))
    rates = {key: round(1 / median(values), 1) for key, values in told.items()}
    ours = {str(threads): [rates[point, threads] for point in points] for threads in THREADS}
    return {"points": list(points), "ours": ours, "limit": [rates[point] for point in points], "limited_by": kind}


def main() -> None:
    """Measure the curves, write the JSON file, draw the picture."""
    options = parser(__doc__, "scaling", rounds=7).parse_args()
    rounds, seconds = (1, 0.05) if options.quick else (options.rounds, 0.4)
    peak = peak_flops(seconds)
    document = new_document("scaling", options) | {
        "caption": CAPTION,
        "peak_gflops": round(peak / 1e9, 1),
        "curves": {},
    }
    for name in CURVES:
        document["curves"][name] = found = curve(name, rounds, seconds, peak)
        print(f"{name} {found['points']}: {found['ours']}, limit {found['limit']}", flush=True)
        write(options.out, document)
    scaling(document["curves"], options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
