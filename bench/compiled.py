"""Compiled environments on one thread: `python -m bench.compiled [ID ...]`, and `python -m bench.compiled training`.

Without learning, in steps per second:

kernel      `step_envs` called from another compiled function, for 64 environments
Python      the same through `CompiledVectorEnv.step`
Gymnasium   Gymnasium's own environment, which is Python, in `SerialEnvs`

With learning, for two networks of [64, 64] tanh: rollouts whose steps are made one by one from Python, and those that a
kernel makes. Both runs have the same numbers, and do their updates in turns. The table has medians of processor time,
which other processes change less than they change the time of a clock.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from unittest.mock import patch

import numba
import numpy as np

from ppo_np import PPO
from ppo_np.config import PPOConfig
from ppo_np.environments.compiled_envs import EXAMPLES, CompiledVectorEnv, registered_model
from ppo_np.environments.make import make_vector_env
from ppo_np.learning import compiled_rollout, ppo, rollout, rollout_buffer
from ppo_np.learning.compiled_rollout import CompiledSteps
from ppo_np.learning.metrics import Metrics

ENVS, STEPS, ROUNDS = 64, 200, 15


def fastest(run: Callable[[], object], steps: int) -> float:
    """Steps per second of the fastest of ROUNDS runs: other processes can only make a run slower."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return ENVS * steps / min(seconds)


def kernel_alone(envs: CompiledVectorEnv, actions: np.ndarray) -> float:
    """Steps per second of the kernel."""
    step_envs, args = envs.kernel_call()

    @numba.njit(nogil=True)
    def run(actions, args):
        for step in range(len(actions)):
            step_envs(actions[step], *args)

    run(actions, args)
    return fastest(lambda: run(actions, args), len(actions))


def measure(env_id: str) -> tuple[float, float, float]:
    """The three rates of an environment."""
    envs = CompiledVectorEnv(registered_model(env_id), ENVS)
    envs.reset(seed=0)
    envs.action_space.seed(0)
    actions = np.stack([envs.action_space.sample() for _ in range(STEPS)])
    python = make_vector_env(PPOConfig(env_id=env_id, num_envs=ENVS))
    python.reset(seed=0)
    few = actions[:10]
    in_python = fastest(lambda: [envs.step(own) for own in actions], STEPS)
    return kernel_alone(envs, actions), in_python, fastest(lambda: [python.step(own) for own in few], len(few))


WORKS = (  # environments, steps, rows of a minibatch, epochs
    ("CartPole-v1", 256, 128, 512, 4), ("Pendulum-v1", 64, 64, 512, 4), ("Pendulum-v1", 4, 1024, 256, 2),
)  # fmt: skip
UPDATES = 22


def training(env_id: str, envs: int, steps: int, rows: int, epochs: int) -> str:
    """A row of the table: medians of UPDATES updates, without the first two."""
    config = PPOConfig(
        env_id=env_id, vectorization="compiled", num_envs=envs, num_steps=steps, update_epochs=epochs, threads=1,
        num_minibatches=envs * steps // rows, total_timesteps=10**9, shared_sizes=(), policy_sizes=(64, 64),
        value_sizes=(64, 64), activation="tanh",
    )  # fmt: skip
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


def main(names: Sequence[str]) -> None:
    """Print a table for the environments with these ids, or for all."""
    print("| million steps/s, 64 environments | kernel | Python | Gymnasium | Python / Gymnasium |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for env_id in names or EXAMPLES:
        kernel, python, gymnasium = measure(env_id)
        rates = f"{kernel / 1e6:.1f} | {python / 1e6:.2f} | {gymnasium / 1e6:.3f} | {python / gymnasium:.0f}"
        print(f"| {env_id} | {rates} |")


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
    main_training() if sys.argv[1:] == ["training"] else main(sys.argv[1:])
