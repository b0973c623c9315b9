"""How long the presets take to solve their environments: seconds from the start of the process to a good greedy policy.

Solved is such a mean return in 100 greedy episodes with unseen seeds: -200 of pendulum, 500 of cartpole, 200 of
lunarlander. They are played after each 4,096, 1,024 and 16,384 steps; their time is not counted, that of imports is.
Kernels are in the cache: a run that does not count puts them there. Seeds must be fresh: none that had a part in the
choice of the preset. Seeds that do not solve it within the preset's steps are unsolved.
"""

import dataclasses
import math
import time

from bench.contests.contest import Contestant, begin, show, versions_of, write
from bench.contests.solve import QUICK, summary
from bench.peers.protocol import Race
from bench.report.sections import presets_table

OF_PRESET = {"vectorization": None, "total_timesteps": None}
RACES = {
    "pendulum": Race(started=0, env_id="Pendulum-v1", threshold=-200, check_every=4_096, **OF_PRESET),
    "cartpole": Race(started=0, env_id="CartPole-v1", threshold=500, check_every=1_024, **OF_PRESET),
    "lunarlander": Race(started=0, env_id="LunarLander-v3", threshold=200, check_every=16_384, **OF_PRESET),
}
FIRST_SEED = 2001
SEEDS = {"pendulum": 10, "cartpole": 10, "lunarlander": 20}


def main() -> None:
    """Run a preset for all its seeds, then the next one; write the results after each run."""
    options, document = begin(
        __doc__, "presets", timeout=1800,
        first={"type": int, "default": FIRST_SEED, "help": f"the first of the seeds (default {FIRST_SEED})"},
        threads={"type": int, "default": 1, "help": "of ours (default 1)"},
        ranks={"type": int, "default": 1, "help": "of MPI, which share a run (default 1)"},
        only={"nargs": "+", "choices": RACES, "default": list(RACES)},
    )  # fmt: skip
    document |= {"runs": [], "results": []}
    name_of_ours = f"ppo_np, {options.ranks} ranks" if options.ranks > 1 else "ppo_np"
    ours = Contestant(name_of_ours, "bench.peers.ours", "solve", ranks=options.ranks)
    for name in options.only:
        race = dataclasses.replace(RACES[name], threads=options.threads)
        race = dataclasses.replace(race, **QUICK) if options.quick else race
        ours.run(dataclasses.replace(race, started=time.time(), seed=options.first - 1), options.timeout)
        runs = []
        for seed in range(options.first, options.first + (1 if options.quick else SEEDS[name])):
            run = ours.run(dataclasses.replace(race, started=time.time(), seed=seed), options.timeout)
            about = {"name": ours.name, "preset": name, "seed": seed, "commit": document["commit"], "jobs": 1}
            runs.append(run | about)
            found = run.get("skipped") or f"{run['solved_seconds'] or math.inf:.2f} s"
            print(f"{name}, seed {seed}: {found}, {run.get('solved_step')} steps", flush=True)
            others = [one for one in document["results"] if one["preset"] != name]
            document["results"] = [*others, summary(runs) | {"preset": name}]
            document["versions"] = document["versions"] | versions_of(runs)
            write(options.out, document | {"runs": document["runs"] + runs})
        document["runs"] += runs
    show(presets_table(document))


if __name__ == "__main__":
    main()
