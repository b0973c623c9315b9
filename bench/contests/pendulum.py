"""Pendulum with RLtools' own published settings, ours and RLtools: seconds of training, and the greedy return reached.

Training is 75 updates of 4 environments x 1,024 steps, in a process of its own each, which take turns, seed by seed.
Kernels and C++ are compiled and loaded before the clock starts, and evaluations stop it. RLtools is run with MKL. What
differs: RLtools steps a Pendulum of its own in float32, draws other weights and normalises observations once, at the
beginning; ours normalises them all the time. It draws the greedy return against the seconds.
"""

import dataclasses
import time
from itertools import product
from statistics import median

from bench.contests.contest import Contestant, Result, begin, show, versions_of, write
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


def main() -> None:
    """Race; write the results after each run. With curves, the policy plays after each 5 updates."""
    options, document = begin(
        __doc__, "pendulum", timeout=600,
        seeds={"type": int, "nargs": "+", "default": [11, 12, 13, 14, 15]},
        curves={"action": "store_true", "help": "evaluate after each 5 updates, and draw"},
        only={"nargs": "+", "choices": CONTESTANTS, "default": list(CONTESTANTS)},
    )  # fmt: skip
    steps = (5 if options.quick else UPDATES) * UPDATE
    every = 5 * UPDATE if options.curves else steps
    race = dataclasses.replace(RACE, check_every=every, total_timesteps=steps)
    document["runs"] = runs = []
    for seed, name in product(options.seeds[:1] if options.quick else options.seeds, options.only):
        contestant, threads = CONTESTANTS[name]
        job = dataclasses.replace(race, started=time.time(), seed=seed, threads=threads)
        runs.append(contestant.run(job, options.timeout) | {"name": contestant.name, "seed": seed})
        last = runs[-1].get("curve", [{}])[-1]
        print(f"{contestant.name}, seed {seed}: {runs[-1].get('skipped') or last}", flush=True)
        of_each = [[run for run in runs if run["name"] == one.name] for one, _ in CONTESTANTS.values()]
        document |= {"results": [summary(own) for own in of_each if own], "versions": versions_of(runs)}
        write(options.out, document)
    show(pendulum_table(document))
    if options.curves:
        curves(runs, RACE.threshold, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
