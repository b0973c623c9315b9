"""Microseconds of one action in a control loop: `python -m bench.predict`.

`Policy.predict` of one observation of CartPole, the most probable action, by two towers of [64, 64] tanh. Each
contestant is a process; they take turns:

    direct   as `predict` is
    general  with only the code that all kinds of observations take
    other    `predict` of another clone of this repository, with `--other FOLDER`
"""

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from time import thread_time
from typing import IO

CALLS = 2000  # in a slice


def serve(contestant: str, norm_obs: bool, source: IO[str]) -> None:
    """For each line that is read, print the microseconds of a call, by this thread's own time on the processor."""
    import numpy as np
    from gymnasium import spaces

    from ppo_np import PPOConfig
    from ppo_np.learning.policy import Policy

    sizes = {"shared_sizes": (), "policy_sizes": (64, 64), "value_sizes": (64, 64)}
    config = PPOConfig(**sizes, activation="tanh", norm_obs=norm_obs)
    high = np.array([4.8, np.inf, 0.41887903, np.inf], np.float32)
    policy = Policy(spaces.Box(-high, high), spaces.Discrete(2), config, np.random.default_rng(0))
    policy._is_direct = contestant != "general"
    obs = np.float32([0.1, 0.2, 0.03, -0.1])
    policy.predict(obs)
    for _ in source:
        begin = thread_time()
        for _ in range(CALLS):
            policy.predict(obs)
        print(1e6 * (thread_time() - begin) / CALLS, flush=True)


def compare(contestants: dict[str, str], norm_obs: bool, rounds: int) -> None:
    """Let the contestants, by their folders, take turns, and print medians, quartiles and the ratio to `direct`."""
    flags = ["--norm-obs"] * norm_obs
    with ExitStack() as stack:
        seats = {}
        for name, folder in contestants.items():
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            command = [sys.executable, "-c", Path(__file__).read_text(), "--serve", name, *flags]
            environment = os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            seats[name] = stack.enter_context(subprocess.Popen(command, cwd=folder, env=environment, **pipes))
        found: dict[str, list[float]] = {name: [] for name in seats}
        for _ in range(rounds):
            for name, seat in seats.items():
                print(file=seat.stdin, flush=True)
                found[name].append(float(seat.stdout.readline()))
        for seat in seats.values():
            seat.stdin.close()
    for name, times in found.items():
        low, _, high = quantiles(times, n=4)
        ratio = median(time / direct for time, direct in zip(times, found["direct"], strict=True))
        what = "normalised" if norm_obs else "plain"
        print(
            f"{what:10} {name:8} {median(times):5.1f} us ({low:.1f} to {high:.1f}), {ratio:.2f} times as long as direct"
        )


def main() -> None:
    """Parse the flags; compare, or be a contestant."""
    parser = argparse.ArgumentParser(prog="python -m bench.predict", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="slices of each contestant (default 30)")
    parser.add_argument("--other", help="folder of another clone")
    parser.add_argument("--norm-obs", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.norm_obs, sys.stdin)
        return
    root = str(Path(__file__).resolve().parents[1])
    contestants = {"direct": root, "general": root} | ({"other": options.other} if options.other else {})
    for norm_obs in (False, True):
        compare(contestants, norm_obs, options.rounds)


if __name__ == "__main__":
    main()
