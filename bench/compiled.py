"""Compiled environments: `python -m bench.compiled [ID ...]`, `python -m bench.compiled training`, and `... threads`.

Without learning, in steps per second; the medians with the least and the most are in runs/bench/compiled.json:

kernel      `step_envs` called from another compiled function, for 64 environments
Python      the same through `CompiledVectorEnv.step`
Gymnasium   Gymnasium's own environment, which is Python, in `SerialEnvs`

With learning, for two networks of [64, 64] tanh: rollouts whose steps are made one by one from Python, and those that a
kernel makes. Both runs have the same numbers, and do their updates in turns. The table has medians of processor time,
which other processes change less than they change the time of a clock.

With `threads`, what would be gained if two threads shared the environments of a rollout: all of them on one thread, and
the values on the other one, as `--threads 2` does it, in turns with half of them on each. Medians by the clock, with
the same networks.
"""

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numba
import numpy as np

from bench.contests.contest import LIBRARIES, OUT, write
from bench.machine import machine
from bench.ours import limit_blas_threads
from bench.peers.protocol import versions
from ppo_np import PPO
from ppo_np.config import PPOConfig
from ppo_np.environments.compiled_envs import EXAMPLES, CompiledVectorEnv, registered_model
from ppo_np.environments.make import make_vector_env
from ppo_np.learning import compiled_rollout, ppo, rollout, rollout_buffer
from ppo_np.learning.compiled_rollout import CompiledSteps
from ppo_np.learning.metrics import Metrics

ENVS, STEPS, ROUNDS = 64, 200, 15


def rates(run: Callable[[], object], steps: int) -> dict[str, float]:
    """Steps per second of ROUNDS runs of so many vector steps: median, least and most."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        found.append(ENVS * steps / (time.perf_counter() - start))
    return {"median": median(found), "min": min(found), "max": max(found)}


class BareSteps:
    """Compiled environments that a compiled function steps, without Python in between.

    Attributes:
        envs: they. An episode that ends begins again, always with the same state.
        run: a function of actions, (T, N, ...).
    """

    def __init__(self, env_id: str, num_envs: int, seed: int = 0):
        self.envs = CompiledVectorEnv(registered_model(env_id), num_envs)
        self.envs.reset(seed=seed)
        step_envs, args = self.envs.kernel_call()

        @numba.njit(nogil=True)
        def run(actions, args):
            for step in range(len(actions)):
                step_envs(actions[step], *args)

        self.run: Callable[[np.ndarray], None] = lambda actions: run(actions, args)
        self.run(random_actions(self.envs, 1))  # it is compiled now


def random_actions(envs: CompiledVectorEnv, steps: int, seed: int = 0) -> np.ndarray:
    """Random actions, (steps, N, ...)."""
    envs.action_space.seed(seed)
    return np.stack([envs.action_space.sample() for _ in range(steps)])


def measure(env_id: str) -> dict[str, Any]:
    """The three rates of an environment."""
    bare = BareSteps(env_id, ENVS)
    envs, actions = bare.envs, random_actions(bare.envs, STEPS)
    python = make_vector_env(PPOConfig(env_id=env_id, num_envs=ENVS))
    python.reset(seed=0)
    few = actions[:10]
    return {
        "env_id": env_id,
        "kernel": rates(lambda: bare.run(actions), STEPS),
        "python": rates(lambda: [envs.step(own) for own in actions], STEPS),
        "gymnasium": rates(lambda: [python.step(own) for own in few], len(few)),
    }


WORKS = (  # environments, steps, rows of a minibatch, epochs
    ("CartPole-v1", 256, 128, 512, 4), ("Pendulum-v1", 64, 64, 512, 4), ("Pendulum-v1", 4, 1024, 256, 2),
)  # fmt: skip
UPDATES = 22
SHARED = (("Pendulum-v1", 4, 1024), ("Pendulum-v1", 64, 64), ("CartPole-v1", 256, 128), ("Pendulum-v1", 1024, 64))


def small_config(env_id: str, envs: int, steps: int, **more: Any) -> PPOConfig:
    """Two networks of [64, 64] tanh."""
    return PPOConfig(
        env_id=env_id, vectorization="compiled", num_envs=envs, num_steps=steps, total_timesteps=10**9,
        shared_sizes=(), policy_sizes=(64, 64), value_sizes=(64, 64), activation="tanh", **more,
    )  # fmt: skip


def training(env_id: str, envs: int, steps: int, rows: int, epochs: int) -> str:
    """A row of the table: medians of UPDATES updates, without the first two."""
    minibatches = envs * steps // rows
    config = small_config(env_id, envs, steps, update_epochs=epochs, num_minibatches=minibatches, threads=1)
    runs = {in_kernel: PPO(config) for in_kernel in (False, True)}
    taken: dict[bool, list[Metrics]] = {in_kernel: [] for in_kernel in runs}
    for _ in range(UPDATES):
        for in_kernel, run in runs.items():
            with nullcontext() if in_kernel else patch.object(CompiledSteps, "of", lambda *_: None):
                run.learn(partial(one_update, taken[in_kernel]))
    if not np.array_equal(*(run.policy.model.params for run in runs.values())):
        raise AssertionError("the two runs have different parameters")
    cells = [f"{env_id}, {envs} x {steps}, {rows} rows, {epochs} epochs"]
    for metrics in taken.values():
        acting = np.median([m.time_env + m.time_inference for m in metrics[2:]])
        whole = acting + np.median([m.time_update for m in metrics[2:]])
        cells += [f"{1000 * acting:.1f}", f"{acting / whole:.0%}", f"{envs * steps / whole / 1000:.0f}"]
    return f"| {' | '.join(cells)} |"


def one_update(taken: list[Metrics], run: PPO, metrics: Metrics) -> None:
    """A callback that keeps the metrics and stops."""
    taken.append(metrics)
    run.stop()


def sharing(env_id: str, envs: int, steps: int) -> str:
    """A row of the table: milliseconds of a rollout, the median of UPDATES."""
    whole = PPO(small_config(env_id, envs, steps, threads=2))
    first, second = (PPO(small_config(env_id, envs // 2, steps, threads=1)) for _ in range(2))
    taken: dict[str, list[float]] = {"one": [], "two": []}
    with ThreadPoolExecutor(1) as other, closing(whole), closing(first), closing(second):
        for _ in range(UPDATES):
            start = time.perf_counter()
            whole._collect(whole.config)
            middle = time.perf_counter()
            of_other = other.submit(first._collect, first.config)
            second._collect(second.config)
            of_other.result()
            taken["one"].append(middle - start)
            taken["two"].append(time.perf_counter() - middle)
    one, two = (median(seconds[2:]) for seconds in taken.values())
    return f"| {env_id}, {envs} x {steps} | {1000 * one:.2f} | {1000 * two:.2f} | {one / two:.2f} |"


def main_threads() -> None:
    """Print the table of shared environments."""
    print("| | all on one, ms | half on each, ms | times as fast |", "| --- | ---: | ---: | ---: |", sep="\n")
    with limit_blas_threads(1):
        for work in SHARED:
            print(sharing(*work))


def main(names: Sequence[str], out: Path = OUT / "compiled.json") -> None:
    """Print a table for the environments with these ids, or for all, and write the JSON file.

    The table has the fastest of all runs: other processes can only make a run slower.
    """
    document = {"benchmark": "compiled", "quick": False} | machine() | {"versions": versions(LIBRARIES), "results": []}
    print("| million steps/s, 64 environments | kernel | Python | Gymnasium | Python / Gymnasium |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for env_id in names or EXAMPLES:
        found = measure(env_id)
        document["results"].append(found)
        kernel, python, gymnasium = (found[name]["max"] for name in ("kernel", "python", "gymnasium"))
        cells = f"{kernel / 1e6:.1f} | {python / 1e6:.2f} | {gymnasium / 1e6:.3f} | {python / gymnasium:.0f}"
        print(f"| {env_id} | {cells} |")
    write(out, document)


def main_training() -> None:
    """Print the table with learning."""
    for module in (compiled_rollout, ppo, rollout, rollout_buffer):
        module.perf_counter = time.thread_time
    print(
        "| | step by step: rollout, ms | its share | thousand steps/s | in a kernel: rollout, ms | its share | ", end=""
    )
    print("thousand steps/s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for env_id, *work in WORKS:
        print(training(env_id, *work))


if __name__ == "__main__":
    if sys.argv[1:] == ["training"]:
        main_training()
    elif sys.argv[1:] == ["threads"]:
        main_threads()
    else:
        main(sys.argv[1:])
