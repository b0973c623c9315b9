"""Kill training at any instant, go on with --resume, and compare with the run that was not interrupted, bit for bit.

    python tests/durability/kill/run.py                                     # 100 runs that are killed; some minutes
    python tests/durability/kill/run.py --kills 20 --env-id CartPole-v1
    python tests/durability/kill/run.py --kills 10 --plant minibatch_rng    # with a planted bug, which it finds

Each trial is a process that ends by a signal: at a system call of the write path (at_system_call.py), or at
a random instant from the first checkpoint on. Then checkpoint.h5 has to be whole, and the resumed run has to end with
the same checkpoint.h5, best.h5, metrics.csv, evaluations.csv and TensorBoard events as the uninterrupted one, but for
times. Exit code 1 if anything differs.
"""

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import plants
import trial
from plan import KINDS, Calls, scenarios
from trial import Outcome, Setting

from ppo_np.saving.checkpoint import library_versions

SHOWN = 5  # problems of a run
DEFAULT_ENVS = ("LunarLander-v3", "CartPole-v1")


def references(settings: Sequence[Setting], folder: Path, pool: ThreadPoolExecutor) -> dict[Setting, Calls]:
    """Train each setting without a kill, into `folder`; the system calls that wrote its files."""

    def one(setting: Setting) -> Calls:
        trace = folder / f"{setting.name}.json"
        trial.train(setting, folder / setting.name, trace)
        return json.loads(trace.read_text())

    return dict(zip(settings, pool.map(one, settings), strict=True))


def perform(settings: Sequence[Setting], kills: int, seed: int, workers: int, plant: str, folder: Path) -> list:
    """Do all trials; failures are told as they come up."""
    every = [*settings, *(replace(setting, vectorization="async") for setting in settings)]
    with ThreadPoolExecutor(workers) as pool:
        calls = references(every, folder, pool)
        chosen = scenarios(kills, random.Random(seed), settings, calls)

        def one(numbered) -> Outcome:
            number, scenario = numbered
            name = scenario.setting.name
            outcome = trial.run(replace(scenario, plant=plant), folder / f"{number}-{name}", folder / name)
            if outcome.problems:
                kills, problems = " / ".join(map(str, scenario.kills)), "; ".join(outcome.problems[:SHOWN])
                print(f"{number}, {name}, {kills}: {len(outcome.problems)} problems: {problems}", flush=True)
            return outcome

        return list(pool.map(one, enumerate(chosen)))


def table(outcomes: Sequence[Outcome]) -> list[tuple]:
    """Rows: kind, environment, runs, kills, kills after which the checkpoint was whole, runs that ended identically."""
    rows = []
    environments = sorted({outcome.scenario.setting.env_id for outcome in outcomes})
    for kind, env_id in [(kind, env_id) for kind in KINDS for env_id in environments] + [("all", "")]:
        these = [o for o in outcomes if kind == "all" or (o.scenario.kind, o.scenario.setting.env_id) == (kind, env_id)]
        if these:
            numbers = (sum(getattr(o, name) for o in these) for name in ("kills", "loaded"))
            rows.append((kind, env_id, len(these), *numbers, sum(not o.problems for o in these)))
    return rows


def show(rows: Sequence[tuple]) -> None:
    """Print the rows as a table in Markdown."""
    print("| kind of kill | environment | runs | kills | checkpoint whole | identical in the end |")
    print("|---|---|---:|---:|---:|---:|")
    for kind, env_id, *numbers in rows:
        print("|", " | ".join([kind, env_id, *map(str, numbers)]), "|")


def facts(seed: int) -> str:
    """What the numbers were made with."""
    versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    return f"seed {seed}; {platform.system()}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="runs that are killed, some of them thrice (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the random instants (0)")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time (2)")
    parser.add_argument("--env-id", nargs="+", default=DEFAULT_ENVS, metavar="ID", help=", ".join(DEFAULT_ENVS))
    parser.add_argument("--updates", type=int, default=40, help="of each run (40)")
    parser.add_argument("--plant", choices=plants.ALL, default="", help="a bug, to see that it is found")
    parser.add_argument("--json", type=Path, metavar="FILE", help="gets every outcome")
    given = parser.parse_args()
    settings = [Setting(env_id, updates=given.updates) for env_id in given.env_id]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        outcomes = perform(settings, given.kills, given.seed, given.workers, given.plant, Path(folder).resolve())
    rows = table(outcomes)
    show(rows)
    print(
        f"\n{time.monotonic() - begun:.0f} s, {given.workers} at a time on {os.cpu_count()} cores; {facts(given.seed)}."
    )
    if given.json:
        document = {"facts": facts(given.seed), "outcomes": [asdict(outcome) for outcome in outcomes]}
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(any(outcome.problems for outcome in outcomes))


if __name__ == "__main__":
    main()
