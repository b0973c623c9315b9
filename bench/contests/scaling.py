"""How speed scales: steps a second by number of environments, width of the network and size of the minibatch.

Each point is measured with one and with two threads of matrix products, in slices that take turns over all points of a
curve, beside its limit: the environments alone, or the seconds that BLAS needs for the update's matrix products at the
best rate that it reaches here on any shape. It also draws the curves.
"""

import dataclasses
from collections.abc import Callable, Mapping
from itertools import product
from statistics import median
from typing import Any

import numpy as np

from bench.contests.contest import begin, write
from bench.contests.parts import THREADS, Training, per_call, per_unit
from bench.ours import limit_blas_threads
from bench.peers.alone import Alone
from bench.peers.protocol import Job
from bench.report.charts import scaling

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
    for threads, size in product(THREADS, PEAK_SHAPES):
        left, right, out = np.ones((3, size, size), np.float32)
        with limit_blas_threads(threads):
            each = per_call(lambda left=left, right=right, out=out: np.dot(left, right, out=out), seconds)
        best = max(best, 2 * size**3 / each)
    return best


def limit_of(kind: str, job: Job, training: Training, peak: float) -> Callable[[float], float]:
    """A function that takes seconds and gives the limit, in seconds a step.

    The operations of products are 2 I O forward for acting, and in each epoch 2 I O forward and about twice that back.
    """
    if kind == "environment":
        alone = Alone(job)
        return lambda seconds: per_unit(alone.rollout, seconds)
    shapes = training.ppo.policy.model.shapes
    weights = sum(float(np.prod(shape)) for name, shape in shapes.items() if name.endswith("weight"))
    return lambda _seconds: 2 * weights * (1 + 3 * job.update_epochs) / peak


def curve(name: str, rounds: int, seconds: float, peak: float) -> dict[str, Any]:
    """Median steps a second at each point, by number of threads, and the limit."""
    job_at, points, kind = CURVES[name]
    measures = {}
    for point in points:
        runs = [Training(dataclasses.replace(job_at(point), threads=threads)) for threads in THREADS]
        measures |= {(point, n): run.seconds_a_step for n, run in zip(THREADS, runs, strict=True)}
        measures[point, "limit"] = limit_of(kind, job_at(point), runs[0], peak)
    told = [{key: measure(seconds) for key, measure in measures.items()} for _ in range(rounds)]
    rates = {key: round(1 / median(one[key] for one in told), 1) for key in measures}
    ours = {str(threads): [rates[point, threads] for point in points] for threads in THREADS}
    limit = [rates[point, "limit"] for point in points]
    return {"points": list(points), "ours": ours, "limit": limit, "limited_by": kind}


def main() -> None:
    """Measure the curves, write the JSON file, draw the picture."""
    options, document = begin(__doc__, "scaling", rounds=7)
    rounds, seconds = (1, 0.05) if options.quick else (options.rounds, 0.4)
    peak = peak_flops(seconds)
    document |= {"caption": CAPTION, "peak_gflops": round(peak / 1e9, 1), "curves": {}}
    for name in CURVES:
        document["curves"][name] = found = curve(name, rounds, seconds, peak)
        print(f"{name} {found['points']}: {found['ours']}, limit {found['limit']}", flush=True)
        write(options.out, document)
    scaling(document["curves"], options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
