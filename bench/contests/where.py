"""Where the time goes: microseconds of an environment step, part by part, for rows a, c and d of end_to_end.py.

A training run tells its time in the environments, in choosing actions and in the update; the same functions on the same
shapes (of an update in blocks, those of a block) are timed alone, in turn with it, and divide these three further. Rows
a and d learn on one thread here: of blocks on two, parts do not add up. What they leave over is "Python and the rest":
advantages, shuffling, checks for finite numbers, marks for checkpoints, calls. All numbers are medians over the rounds,
but for the rest, which makes the sum right.
"""

from collections.abc import Callable
from dataclasses import replace
from statistics import mean, median

from bench.contests.contest import Result
from bench.contests.end_to_end import measure_rows
from bench.contests.parts import Stepping, Training, functions, per_call, rows_at_once, threads_of
from bench.ours import limit_blas_threads
from bench.peers.protocol import Job
from bench.report.sections import where_table


def one_round(
    job: Job, training: Training, alone: dict[str, Callable[[], object]], stepping: Stepping, seconds: float
) -> Result:
    """Microseconds of an environment step, of the run and of each function alone."""
    before = training.ppo.global_step
    found = {"total": training.seconds_a_step(seconds)}
    steps = (training.ppo.global_step - before) / len(training.metrics)
    for name in ("time_env", "time_inference", "time_update"):
        found[name] = mean(getattr(one, name) for one in training.metrics) / steps
    minibatches = job.num_minibatches * job.update_epochs
    pieces = minibatches * job.minibatch_size / rows_at_once(job, stepping.policy)
    calls = {"act": job.num_steps, "sample": job.num_steps, "gather": minibatches, "optimizer": minibatches}
    with limit_blas_threads(job.threads):
        for name, function in alone.items():
            found[name] = per_call(function, seconds / 10) * calls.get(name, pieces) / steps
    found |= {"stream": stepping.stream() / steps, "raw": stepping.raw() / steps}
    return {name: value * 1e6 for name, value in found.items()}


def parts(found: Result) -> Result:
    """The parts of a step, which sum up to the total."""
    overhead = found["stream"] - found["raw"]
    names = {
        "environment": found["time_env"] - overhead,
        "vectorisation, guard": overhead,
        "inference": found["act"],
        "sampling": found["sample"],
        "bookkeeping of the rollout": found["time_inference"] - found["act"] - found["sample"],
        "gather": found["gather"],
        "matrix products, biases": found["passes"] - found["activations"],
        "activations": found["activations"],
        "loss": found["loss"],
        "norm, clipping, Adam": found["optimizer"],
    }
    return names | {"Python and the rest": found["total"] - sum(names.values())}


def measure(job: Job, rounds: int, seconds: float) -> Result:
    """The parts of a row's step, with the better number of threads."""
    stepping = Stepping(job)
    runs = {threads: Training(replace(job, threads=threads)) for threads in threads_of(job, stepping.policy)}
    trials = {threads: median(run.seconds_a_step(seconds) for _ in range(3)) for threads, run in runs.items()}
    threads = min(trials, key=trials.get)
    job = replace(job, threads=threads)
    alone = functions(job, stepping.policy)
    for function in (*alone.values(), stepping.stream, stepping.raw):
        function()  # the first call may compile
    told = [one_round(job, runs[threads], alone, stepping, seconds) for _ in range(rounds)]
    found = {name: median(one[name] for one in told) for name in told[0]}
    return {"threads": threads, "total": found["total"], "parts": parts(found), "measured": found}


if __name__ == "__main__":
    measure_rows(__doc__, "where", "rows_by_part", "acd", measure, where_table)
