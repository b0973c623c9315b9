"""Steps per second of compiled environments on one thread, without learning: `python -m bench.compiled`.

kernel      `step_envs` called from another compiled function, for 64 environments
Python      the same through `CompiledVectorEnv.step`
Gymnasium   Gymnasium's own environment, which is Python, in `SerialEnvs`
"""

import sys
import time
from collections.abc import Callable, Sequence

import numba
import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.environments.compiled_envs import EXAMPLES, CompiledVectorEnv, registered_model
from ppo_np.environments.make import make_vector_env

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


def main(names: Sequence[str]) -> None:
    """Print a table for the environments with these ids, or for all."""
    print("| million steps/s, 64 environments | kernel | Python | Gymnasium | Python / Gymnasium |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for env_id in names or EXAMPLES:
        kernel, python, gymnasium = measure(env_id)
        rates = f"{kernel / 1e6:.1f} | {python / 1e6:.2f} | {gymnasium / 1e6:.3f} | {python / gymnasium:.0f}"
        print(f"| {env_id} | {rates} |")


if __name__ == "__main__":
    main(sys.argv[1:])
