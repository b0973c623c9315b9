"""Another process compiles a kernel, while this one compiles and runs the first rollout.

Two threads of one process could not do that: Numba compiles one kernel at a time. The other process puts the machine
code into the cache of kernels, where this one finds it.
"""

import atexit
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

LONGEST = 300.0  # seconds after which the process is given up


class CompilingProcess:
    """A Python process that calls a function; it ends when this one does.

    Args:
        function: of a module; it compiles something.
        argument: the only one of the function.
    """

    def __init__(self, function: Callable[[str], object], argument: str):
        self._process: subprocess.Popen | None = None
        if not sys.executable:
            return
        statement = f"from {function.__module__} import {function.__name__} as f; f({argument!r})"
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        environment, nothing = os.environ | {"PYTHONPATH": path}, subprocess.DEVNULL
        with suppress(OSError):  # there is no memory for it, or no such program
            command = [sys.executable, "-P", "-c", statement]  # -P: no other folder comes first
            self._process = subprocess.Popen(command, env=environment, stdin=nothing, stdout=nothing, stderr=nothing)
            atexit.register(self.stop)

    def wait(self) -> None:
        """Wait for its end, at most `LONGEST`. If it has failed, this process compiles the kernel when it calls it."""
        if self._process:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LONGEST)
            self.stop()

    def stop(self) -> None:
        """End it, if it has not ended."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
