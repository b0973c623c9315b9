"""Seconds until something happens: from the start of the process to the first update done, and to the import done.

The first update is that of `python -m ppo_np.train`, the article's run, with the compiled kernels in the cache (warm)
and with an empty cache folder (cold); and that of a small network on a compiled environment: with an empty
cache, CartPole's functions are compiled as a user's own are.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

from bench.contests.contest import begin, write
from ppo_np.config import PPOConfig

ONE_UPDATE = PPOConfig().batch_size
TRAIN = ("-m", "ppo_np.train")
COMPILED = (
    "--env-id=CartPole-v1", "--vectorization=compiled", "--num-envs=8",
    f"--num-steps={ONE_UPDATE // 8}", "--shared-sizes", "--policy-sizes", "64", "64", "--value-sizes", "64", "64",
    "--activation=tanh",
)  # fmt: skip
TOO_EARLY = ("Box2D", "envpool", "pygame", "torch")
PROBE = "import sys; {}; print([name for name in {} if name in sys.modules])"
IMPORTS = {"import": "import ppo_np", "PPO": "from ppo_np import PPO"}


def first_update(scratch: str, cache: str, timeout: float, more: Sequence[str] = ()) -> float:
    """Seconds from the start of a training process to the line of its first update.

    Args:
        scratch: folder for what the run leaves.
        cache: folder for compiled kernels.
        timeout: seconds from there to its end.
        more: flags of the training.

    Raises:
        RuntimeError: It ended without one.
    """
    flags = "--total-timesteps", str(ONE_UPDATE), "--run-dir", tempfile.mkdtemp(dir=scratch), *more
    command = [sys.executable, *TRAIN, *flags]
    env = os.environ | {"XDG_CACHE_HOME": cache}
    begin = perf_counter()
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if line.startswith(f"step={ONE_UPDATE} "):
                seconds = perf_counter() - begin
                process.communicate(timeout=timeout)
                return seconds
    raise RuntimeError(f"{' '.join(command)} ended without an update")


def imported(statement: str) -> tuple[float, list[str]]:
    """Seconds of a process that does nothing but this import, and which libraries of environments came with it."""
    begin = perf_counter()
    command = [sys.executable, "-c", PROBE.format(statement, TOO_EARLY)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return perf_counter() - begin, [name for name in TOO_EARLY if f"'{name}'" in told]


def result(what: str, seconds: list[float], **more: Any) -> dict[str, Any]:
    """All runs of one kind, with their median, least and most."""
    numbers = {"median": median(seconds), "min": min(seconds), "max": max(seconds)}
    print(f"{what}: {numbers['median']:.2f} s ({numbers['min']:.2f} to {numbers['max']:.2f})")
    return {"what": what, "seconds": seconds, **numbers, **more}


def main() -> None:
    """Measure cold and warm starts in turn, then the imports; write the JSON file."""
    of_runs = {"type": int, "default": 5, "help": "runs behind each median (default 5)"}
    options, document = begin(__doc__, "start", timeout=120, runs=of_runs)
    runs = 2 if options.quick else options.runs
    document["results"] = []
    for name, more in {"": (), "compiled-": COMPILED}.items():
        cold, warm = [], []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as scratch:
                cold.append(first_update(scratch, f"{scratch}/cache", options.timeout, more))
                warm.append(first_update(scratch, f"{scratch}/cache", options.timeout, more))
        document["results"] += [result(f"{name}warm", warm), result(f"{name}cold", cold)]
    for what, statement in IMPORTS.items():
        seconds, early = zip(*(imported(statement) for _ in range(2 * runs)), strict=True)
        document["results"].append(result(what, list(seconds), too_early=early[0]))
    write(options.out, document)


if __name__ == "__main__":
    main()
