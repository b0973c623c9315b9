"""Pendulum with RLtools' own published settings, ours and RLtools: seconds of training, and the greedy return reached.

Training is 75 updates of 4 environments x 1,024 steps, in a process of its own each, which take turns. Each seed is run
several times, and the median of its seconds counts: a shared machine changes its speed within seconds. Kernels and C++
are compiled and loaded before the clock starts, and evaluations stop it. RLtools is run with MKL. What differs: RLtools
steps a Pendulum of its own in float32, draws other weights and normalises observations once, at the beginning; ours
normalises them all the time, and the rewards as well. With --curves each seed trains once more, and the policy plays
after each 5 updates, of which the greedy return against the seconds is drawn: the runs that count are not interrupted.
"""

import dataclasses
import math
import time
from itertools import product
from statistics import median

from bench.contests.contest import Contestant, Result, begin, show, versions_of, write
from bench.contests.turns import spread
from bench.peers.protocol import Race
from bench.report.charts import curves
from bench.report.sections import pendulum_table

CONTESTANTS = {
    "ppo_np": (Contestant("ppo_np, 1 thread", "bench.peers.ours", "pendulum"), 1),
    "two": (Contestant("ppo_np, 2 threads", "bench.peers.ours", "pendulum"), 2),
    "rltools": (Contestant("RLtools, MKL, 1 thread", "bench.peers.rltools", "pendulum"), 1),
}
UPDATE, UPDATES = 4 * 1024, 75
RACE = Race(
    started=0, env_id="Pendulum-v1", vectorization="compiled", total_timesteps=UPDATES * UPDATE,
    check_every=UPDATES * UPDATE, threshold=-200, episodes=100,
)  # fmt: skip


def middle_runs(runs: list[Result]) -> list[Result]:
    """Of a contestant's runs with the same seed, that with the median seconds; of an even number, the slower one."""
    repeated: dict[tuple[str, int], list[Result]] = {}
    for run in runs:
        repeated.setdefault((run["name"], run["seed"]), []).append(run)

    def seconds(run: Result) -> float:
        return math.inf if "skipped" in run else run["curve"][-1]["seconds"]

    return [sorted(some, key=seconds)[len(some) // 2] for some in repeated.values()]


def summary(runs: list[Result]) -> Result:
    """Medians over the seeds of one contestant, with the least and the most."""
    ended = [run for run in runs if "skipped" not in run]
    if not ended:
        return {"contestant": runs[0]["name"], "skipped": runs[0]["skipped"]}
    found = {"contestant": runs[0]["name"], "seeds": len(ended)}
    for key in ("seconds", "mean_return"):
        values = [run["curve"][-1][key] for run in ended]
        found[key] = {"median": median(values), "min": min(values), "max": max(values)}
    return found


def results_of(runs: list[Result]) -> list[Result]:
    """The summary of each contestant; "ratio" is that of ours: its seconds over RLtools', seed by seed."""
    seconds = {(run["name"], run["seed"]): run["curve"][-1]["seconds"] for run in runs if "skipped" not in run}
    found, peer = [], CONTESTANTS["rltools"][0].name
    for contestant, _ in CONTESTANTS.values():
        own = [run for run in runs if run["name"] == contestant.name]
        both = [[seconds.get((one, run["seed"])) for one in (contestant.name, peer)] for run in own]
        ratios = [ours / theirs for ours, theirs in both if ours and theirs and contestant.name != peer]
        found += [summary(own) | ({"ratio": spread(ratios, "min", "max")} if ratios else {})] if own else []
    return found


def run_race(name: str, seed: int, race: Race, timeout: float) -> Result:
    """Let a contestant train, and tell how it went."""
    contestant, threads = CONTESTANTS[name]
    run = contestant.run(dataclasses.replace(race, started=time.time(), seed=seed, threads=threads), timeout)
    print(f"{contestant.name}, seed {seed}: {run.get('skipped') or run['curve'][-1]}", flush=True)
    return run | {"name": contestant.name, "seed": seed}


def main() -> None:
    """Race; write the results after each run. Then draw the curves, of runs of their own."""
    options, document = begin(
        __doc__, "pendulum", timeout=600,
        seeds={"type": int, "nargs": "+", "default": [11, 12, 13, 14, 15]},
        repeats={"type": int, "default": 5, "help": "runs of each seed (default 5)"},
        curves={"action": "store_true", "help": "train once more, with evaluations after each 5 updates, and draw"},
        only={"nargs": "+", "choices": CONTESTANTS, "default": list(CONTESTANTS)},
    )  # fmt: skip
    steps = (5 if options.quick else UPDATES) * UPDATE
    turns = list(product(options.seeds[:1] if options.quick else options.seeds, options.only))
    repeats = 1 if options.quick else options.repeats
    race = dataclasses.replace(RACE, check_every=steps, total_timesteps=steps)
    document["runs"] = runs = []
    for _, (seed, name) in product(range(repeats), turns):
        runs.append(run_race(name, seed, race, options.timeout))
        document |= {"results": results_of(middle_runs(runs)), "versions": versions_of(runs)}
        write(options.out, document)
    show(pendulum_table(document))
    if options.curves:
        often = dataclasses.replace(race, check_every=UPDATE if options.quick else 5 * UPDATE)
        document["curves"] = drawn = []
        for seed, name in turns:
            drawn.append(run_race(name, seed, often, options.timeout))
            write(options.out, document)
        since = "seconds of training, kernels and C++ compiled before"
        curves(drawn, RACE.threshold, options.out.with_suffix(".png"), since, "linear")


if __name__ == "__main__":
    main()
