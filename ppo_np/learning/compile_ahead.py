"""Another process compiles a kernel, while this one compiles and runs the first rollout.

Two threads of one process could not do that: Numba compiles one kernel at a time. The other process puts the machine
code into the cache of kernels, where this one finds it.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

LONGEST = 300.0  # seconds after which the process is given up


class CompilingProcess:
    """A Python process that calls a function.

    Args:
        function: of a module; it compiles something.
        argument: the only one of the function.
    """

    def __init__(self, function: Callable[[str], object], argument: str):
        statement = f"from {function.__module__} import {function.__name__} as f; f({argument!r})"
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        environment, nothing = os.environ | {"PYTHONPATH": path}, subprocess.DEVNULL
        self._process: subprocess.Popen | None = None
        with suppress(OSError, ValueError):  # there is no memory for it, or no program of Python
            command = [sys.executable, "-c", statement]
            self._process = subprocess.Popen(command, env=environment, stdin=nothing, stdout=nothing, stderr=nothing)

    def wait(self) -> None:
        """Wait for its end, at most `LONGEST`. If it has failed, the first call of the kernel compiles it."""
        if self._process:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LONGEST)
            self.stop()

    def stop(self) -> None:
        """End it, if it has not ended."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
