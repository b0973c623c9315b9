"""The run that the learner's run must repeat bit for bit: the package's kernels, under the same rounding.

It is a process of its own, so that it works at the same time on another core:
`python -m ppo_np.course.training.product_run PRESET SEED` writes the parameters after each update to its standard
output, as float32. It waits there until they are read, so it is never more than a few updates ahead.
"""

import dataclasses
import os
import subprocess
import sys
from contextlib import suppress
from typing import IO, Self

import numpy as np

from ppo_np.config import PPOConfig
from ppo_np.course.training.calls import Array
from ppo_np.course.training.installed import installed
from ppo_np.course.training.kernel_functions import KERNEL_FUNCTIONS
from ppo_np.errors import RunError
from ppo_np.learning.ppo import PPO


def settings(preset: str, seed: int | None) -> PPOConfig:
    """The settings of a preset, with another seed if one is given."""
    config = PPOConfig.preset(preset)
    return config if seed is None else dataclasses.replace(config, seed=seed)


class ProductRun:
    """The process; a context manager that ends it.

    Args:
        preset, seed: as for `settings`. size: P, the number of parameters.
    """

    def __init__(self, preset: str, seed: int, size: int):
        self._bytes = size * np.dtype(np.float32).itemsize
        command = [sys.executable, "-m", __name__, preset, str(seed)]
        path = os.pathsep.join(sys.path)  # so that it finds the same package
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._output.close()
        self._process.wait()

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def parameters(self) -> Array:
        """The parameters after the next update, (P,). Raises RunError if the process has ended."""
        data = self._output.read(self._bytes)
        if len(data) < self._bytes:
            code = self._process.wait()
            raise RunError(f"The package's own run, which yours is compared with, has ended with exit code {code}.")
        return np.frombuffer(data, np.float32)


def main(preset: str, seed: str) -> None:
    """Train, and write the parameters after each update."""
    output = os.fdopen(os.dup(1), "wb")

    def write(ppo: PPO, _: object) -> None:
        output.write(ppo.policy.model.params.tobytes())
        output.flush()

    with suppress(BrokenPipeError, KeyboardInterrupt), installed(KERNEL_FUNCTIONS):
        PPO(settings(preset, int(seed))).learn(write).close()


if __name__ == "__main__":
    main(*sys.argv[1:])
