"""Time to solve LunarLander-v3, ours and the peers': seconds from the start of the process to a good greedy policy.

Solved is a mean return of at least 200 in 100 greedy episodes with unseen seeds, played every 16,384 steps; their time
is not counted, that of imports and compilation is. Ours has its preset, once with Gymnasium's environments, once with
EnvPool's, and once on two ranks of MPI; Stable-Baselines3 has the settings of RL Zoo, the CleanRL-style loop CleanRL's
defaults but for its length. Whoever has not solved it at the end of its budget of steps is counted as unsolved. It
takes hours (with `--jobs 2` half as many, and a busy neighbour, as the ledger then says), and draws the curves.
"""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import product
from statistics import median

from bench.contests.contest import Contestant, Result, begin, show, versions_of, write
from bench.peers.protocol import Race
from bench.report.charts import curves
from bench.report.sections import solve_table

OURS = {"total_timesteps": 500_000}
CONTESTANTS = {
    "ppo_np": (Contestant("ppo_np", "bench.peers.ours", "solve"), OURS),
    "envpool": (Contestant("ppo_np, EnvPool", "bench.peers.ours", "solve"), OURS | {"vectorization": "envpool"}),
    "ranks": (Contestant("ppo_np, 2 ranks", "bench.peers.ours", "solve", ranks=2), OURS),
    "sb3": (Contestant("Stable-Baselines3", "bench.peers.sb3", "solve"), {}),
    "cleanrl": (Contestant("CleanRL-style loop", "bench.peers.cleanrl", "solve"), {}),
}
QUICK = {"total_timesteps": 10_000, "check_every": 4_096, "episodes": 5}


def summary(runs: Sequence[Result]) -> Result:
    """Medians of one contestant's runs, with the least and the most of the seconds; None where a run is unsolved.

    If no run came to an end, there is "skipped" with the reason instead.
    """
    ended = [run for run in runs if "skipped" not in run]
    if not ended:
        return {"contestant": runs[0]["name"], "skipped": runs[0]["skipped"]}
    seconds = [run["solved_seconds"] or math.inf for run in ended]
    solved = sum(map(math.isfinite, seconds))
    found = {"contestant": runs[0]["name"], "solved": solved, "seeds": len(ended)}
    numbers = {
        "median": median(seconds), "min": min(seconds), "max": max(seconds),
        "steps": median(run["solved_step"] or math.inf for run in ended),
        "step_us": median(map(microseconds_a_step, ended)),
    }  # fmt: skip
    found |= {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return found | {
        "jobs": max(run["jobs"] for run in ended),
        "commits": sorted({run["commit"] or "" for run in ended}),
    }


def microseconds_a_step(run: Result) -> float:
    """Between the first and the last evaluation of a run: without the start."""
    first, last = run["curve"][0], run["curve"][-1]
    return 1e6 * (last["seconds"] - first["seconds"]) / max(1, last["step"] - first["step"])


def main() -> None:
    """Race, seed by seed, the contestants taking turns; write the curves after each run."""
    options, document = begin(
        __doc__, "solve", timeout=7200,
        seeds={"type": int, "nargs": "+", "default": [1, 2, 3, 4, 5]},
        jobs={"type": int, "default": 1, "help": "races at a time (default 1); not of several ranks"},
        add={"action": "store_true", "help": "keep the file's other runs"},
        only={"nargs": "+", "choices": CONTESTANTS, "default": list(CONTESTANTS)},
    )  # fmt: skip
    if options.jobs > 1 and "ranks" in options.only:
        sys.exit(f"jobs is {options.jobs}, but a race on several ranks must have the cores for itself: it must be 1.")
    again = {(CONTESTANTS[name][0].name, seed) for name in options.only for seed in options.seeds}
    before = json.loads(options.out.read_text())["runs"] if options.add else []
    document["runs"] = [run for run in before if (run["name"], run["seed"]) not in again]
    about = {"commit": document["commit"], "jobs": options.jobs}

    def run_race(seed: int, name: str) -> Result:
        contestant, settings = CONTESTANTS[name]
        race = Race(started=time.time(), seed=seed, **settings)
        race = dataclasses.replace(race, **QUICK) if options.quick else race
        return contestant.run(race, options.timeout) | {"name": contestant.name, "seed": seed} | about

    with ThreadPoolExecutor(options.jobs) as pool:
        seeds = options.seeds[:1] if options.quick else options.seeds
        races = [pool.submit(run_race, seed, name) for seed, name in product(seeds, options.only)]
        for run in (ended.result() for ended in as_completed(races)):
            found = run.get("skipped") or f"{run['solved_seconds'] or math.inf:.0f} s"
            print(f"{run['name']}, seed {run['seed']}: {found}, {run.get('solved_step')} steps", flush=True)
            runs = document["runs"] = [*document["runs"], run]
            of_each = [[run for run in runs if run["name"] == one.name] for one, _ in CONTESTANTS.values()]
            document |= {"results": [summary(own) for own in of_each if own], "versions": versions_of(runs)}
            write(options.out, document)
    show(solve_table(document))
    curves(document["runs"], Race.threshold, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
