"""Environments in worker processes: a worker that dies or hangs becomes an exception, and the run does not hang."""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any, TypeVar

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState, _async_worker

from ppo_np.environments.guard import CLOSE_TIMEOUT, describe
from ppo_np.environments.watchdog import LONGEST_TIMEOUT, TICKS
from ppo_np.errors import EnvironmentFault, UserError

START_TIMEOUT = 60.0
ORPHAN_TIMEOUT = 5.0  # seconds for a worker to end by itself when its main process has been killed
Answer = TypeVar("Answer")


class WorkerEnvs(AsyncVectorEnv):
    """Gymnasium's AsyncVectorEnv with a limit on every wait, and with exceptions that name the environment.

    Args:
        factories: functions that make the environments, each in its own process.
        timeout: seconds for a step or a reset; inf means no limit. Starting the processes and making the environments
            may take at least a minute, because processes that are not forked import everything again.
        autoreset_mode: SAME_STEP or NEXT_STEP.
        first: index of the first environment among the environments of all ranks.

    Raises:
        EnvironmentFault: An environment could not be made.
        UserError: The processes cannot be started; none of them is left.
    """

    def __init__(
        self,
        factories: Sequence[Callable[[], gymnasium.Env]],
        timeout: float,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        first: int = 0,
    ):
        self.timeout, self.first = timeout, first
        self._hanging: list[int] = []
        self.processes, self.parent_pipes = [], []
        try:
            super().__init__(factories, copy=False, worker=partial(_work, first), autoreset_mode=autoreset_mode)
        except BaseException as error:
            _kill(self.processes)
            if isinstance(error, EnvironmentFault):
                raise EnvironmentFault(f"While the environments were made, {error}.") from error
            if isinstance(error, OSError):
                reason = f"{len(factories)} worker processes cannot be started: {error.strerror or error}"
                raise UserError(
                    f"vectorization is 'async', but {reason}. Use fewer environments (num_envs)."
                ) from error
            raise
        # If `close` is never called: multiprocessing would send SIGTERM, which workers ignore, and wait for ever.
        Finalize(self, _kill, args=(self.processes,), exitpriority=1)

    def _check_spaces(self) -> None:
        """As AsyncVectorEnv, which calls this at the end of its __init__; but first wait until all workers run."""
        try:
            self._call(lambda: self.call_async("render_mode"), self.call_wait, max(self.timeout, START_TIMEOUT))
            super()._check_spaces()
        except BaseException:
            self.close()
            raise

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """As AsyncVectorEnv.reset; raises EnvironmentFault if a worker raised an exception, died or took too long."""
        return self._call(lambda: self.reset_async(seed=seed, options=options), self.reset_wait, self.timeout)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """As AsyncVectorEnv.step; raises EnvironmentFault if a worker raised an exception, died or took too long."""
        return self._call(lambda: self.step_async(actions), self.step_wait, self.timeout)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """As AsyncVectorEnv.call; raises EnvironmentFault if a worker raised an exception, died or took too long."""
        timeout = math.inf if name == "restore" else self.timeout  # it repeats many steps, each with the limit
        return self._call(lambda: self.call_async(name, *args, **kwargs), self.call_wait, timeout)

    def _call(self, send: Callable[[], None], receive: Callable[[], Answer], timeout: float) -> Answer:
        """Send a command to all workers and collect the answers."""
        try:
            send()
            self._await_answers(timeout)
            return receive()
        except (EOFError, ConnectionError) as error:
            raise EnvironmentFault(self._death_message()) from error
        except KeyboardInterrupt:
            self._drop_answers(min(timeout, LONGEST_TIMEOUT))
            raise

    def _drop_answers(self, timeout: float) -> None:
        """Receive the answers that are still to come, so that the next command does not take them for its own."""
        for pipe in self.parent_pipes:
            pipe.send(("_check_spaces", ("same", None, None)))  # the answer to this is the last: they come in order
            while pipe.poll(timeout) and repr(pipe.recv()) != "((False, False), True)":
                pass
        self._state = AsyncState.DEFAULT

    def _await_answers(self, timeout: float) -> None:
        """Wait for all answers in four parts, so that a suspension of this process uses up at most one of them."""
        tick = timeout / TICKS if timeout <= LONGEST_TIMEOUT else None
        if any(self._poll_pipe_envs(tick) for _ in range(TICKS)):
            return
        who = self.unanswered()
        if who:
            setting = " (env_timeout)" if timeout == self.timeout else ""
            raise EnvironmentFault(f"{who} did not answer within {timeout:g} s{setting}")

    def unanswered(self) -> str:
        """The first environment that has not answered yet, empty if all have; `close` will kill these workers."""
        self._hanging = [index for index, pipe in enumerate(self.parent_pipes) if not pipe.poll(0)]
        return f"environment {self.first + self._hanging[0]}" if self._hanging else ""

    def _death_message(self) -> str:
        """Which worker died, and how."""
        end = time.monotonic() + 1  # a process that has just closed its pipe may need a moment to end
        while time.monotonic() < end:
            for index, process in enumerate(self.processes):
                if (code := process.exitcode) is not None:
                    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                    return f"the worker process of environment {self.first + index} {how}"
            time.sleep(0.01)
        return "a worker process closed its connection"

    def _raise_if_errors(self, successes: Iterable[bool]) -> None:
        """Raise the first worker's exception; Gymnasium would also log the exceptions of all workers."""
        if not all(successes):
            index, _, error, _ = self.error_queue.get(timeout=CLOSE_TIMEOUT)
            if not isinstance(error, EnvironmentFault | UserError):
                error = EnvironmentFault(f"environment {self.first + index} raised {describe(error)}")
            raise error

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Ask the workers to close their environments; kill those that hang or do not end in time."""
        end = time.monotonic() + (CLOSE_TIMEOUT if timeout is None else timeout)
        for index, (pipe, process) in enumerate(zip(self.parent_pipes, self.processes, strict=True)):
            if terminate or index in self._hanging:
                process.kill()
            else:
                with suppress(OSError):  # it has died
                    pipe.send(("close", None))
        for process in self.processes:
            process.join(max(end - time.monotonic(), 0))
        _kill(self.processes)
        for pipe in self.parent_pipes:
            pipe.close()
        self.error_queue.close()


def _kill(processes: Iterable[BaseProcess]) -> None:
    for process in processes:
        if process.pid is not None:  # it was started
            process.kill()
            process.join()


def _end_with_parent() -> None:
    """End this process some time after its parent: an environment that hangs does not see that its pipe is closed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    time.sleep(ORPHAN_TIMEOUT)
    os._exit(1)


def _work(first: int, index: int, make: Callable, pipe: Any, parent: Any, memory: Any, errors: Any, *rest: Any) -> None:
    """Gymnasium's worker, but it ignores the signals for the main process and reports why `make` failed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not SIG_IGN, which processes that an environment starts would inherit.
        signal.signal(number, lambda signum, frame: None)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        env = make()
    except (Exception, SystemExit) as error:
        what = f"environment {first + index} raised {describe(error)} when it was made"
        fault = error if isinstance(error, EnvironmentFault | UserError) else EnvironmentFault(what)
        pipe.recv()
        errors.put((index, type(fault), fault, ""))
        pipe.send((None, False))
        return
    with suppress(ConnectionError):  # the main process has died
        _async_worker(index, lambda: env, pipe, parent, memory, errors, *rest)
