"""Environments in worker processes that cannot take the run with them: a worker may die or hang, and is told so."""

import math
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.util import Finalize

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import _async_worker

from ppo_np.environments.guard import describe
from ppo_np.environments.watchdog import LONGEST_TIMEOUT, TICKS
from ppo_np.errors import EnvironmentFault

START_TIMEOUT, CLOSE_TIMEOUT = 60.0, 10.0


class WorkerEnvs(AsyncVectorEnv):
    """Gymnasium's AsyncVectorEnv with a limit on every wait, and faults that name the environment.

    Args:
        factories: make the environments, each in a process of its own.
        timeout: seconds that a step or a reset may take; inf waits for ever. Starting the processes and making the
            environments may take a minute at least: where processes are not forked, they import everything anew.
        autoreset_mode: SAME_STEP or NEXT_STEP.
        first: number of the first one among the environments of all ranks.

    Raises:
        EnvironmentFault: An environment could not be made in its worker.
    """

    def __init__(
        self,
        factories: Sequence[Callable[[], gymnasium.Env]],
        timeout: float,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        first: int = 0,
    ):
        self.timeout, self.first = timeout, first
        self._hanging = ()
        super().__init__(factories, copy=False, worker=_work, autoreset_mode=autoreset_mode)
        # For who never calls close: at exit, multiprocessing would send SIGTERM and wait, but workers are deaf to it.
        Finalize(self, _kill, args=(self.processes,), exitpriority=1)

    def _check_spaces(self) -> None:
        """As AsyncVectorEnv's, which calls it at the end of its __init__; but first wait until the workers are up."""
        try:
            patience = max(self.timeout, START_TIMEOUT)
            self._call(lambda: self.call_async("render_mode"), self.call_wait, patience)
            super()._check_spaces()
        except EnvironmentFault as fault:
            self.close()
            raise EnvironmentFault(f"While the environments were made, {fault}.") from fault
        except BaseException:
            self.close()
            raise

    def reset(self, *, seed=None, options=None):
        """As AsyncVectorEnv's.

        Raises:
            EnvironmentFault: A worker raised an exception, died or took too long.
        """
        return self._call(lambda: self.reset_async(seed=seed, options=options), self.reset_wait, self.timeout)

    def step(self, actions):
        """As AsyncVectorEnv's.

        Raises:
            EnvironmentFault: A worker raised an exception, died or took too long.
        """
        return self._call(lambda: self.step_async(actions), self.step_wait, self.timeout)

    def call(self, name: str, *args, **kwargs):
        """As AsyncVectorEnv's, with no limit on the time: a replay may take long.

        Raises:
            EnvironmentFault: A worker raised an exception or died.
        """
        return self._call(lambda: self.call_async(name, *args, **kwargs), self.call_wait, math.inf)

    def _call(self, ask: Callable[[], None], wait: Callable, timeout: float):
        """Send a command to all workers and collect the answers."""
        try:
            ask()
            self._await_answers(timeout)
            return wait()
        except (EOFError, ConnectionError) as error:
            raise EnvironmentFault(self._death_message()) from error

    def _await_answers(self, timeout: float) -> None:
        """Wait until all have answered, a quarter of the limit at a time: a suspension uses up one of them at most."""
        tick = timeout / TICKS if timeout <= LONGEST_TIMEOUT else None
        if any(self._poll_pipe_envs(tick) for _ in range(TICKS)):
            return
        self._hanging = [index for index, pipe in enumerate(self.parent_pipes) if not pipe.poll(0)]
        if self._hanging:
            setting = " (env_timeout)" if timeout == self.timeout else ""
            index = self.first + self._hanging[0]
            raise EnvironmentFault(f"environment {index} did not answer within {timeout:g} s{setting}")

    def _death_message(self) -> str:
        """Which worker died, and how."""
        end = time.monotonic() + 1  # a process that has just closed its pipe may take a moment to end
        while time.monotonic() < end:
            for index, process in enumerate(self.processes):
                if not process.is_alive():
                    code = process.exitcode
                    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                    return f"the worker process of environment {self.first + index} {how}"
            time.sleep(0.01)
        return "a worker process closed its connection"

    def _raise_if_errors(self, successes) -> None:
        """Raise the first worker's exception, without Gymnasium's printing of all of them."""
        if not all(successes):
            index, _, error, _ = self.error_queue.get(timeout=CLOSE_TIMEOUT)
            if isinstance(error, _NotMade):
                error = EnvironmentFault(f"environment {self.first + index} {error}")
            elif not isinstance(error, EnvironmentFault):
                error = EnvironmentFault(f"environment {self.first + index} raised {describe(error)}")
            raise error

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Ask the workers to close their environments; who hangs already or does not end in time is killed."""
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


class _NotMade(Exception):  # noqa: N818  a message of a worker
    """An environment could not be made; what it did instead."""


def _kill(processes) -> None:
    for process in processes:
        process.kill()
        process.join()


def _work(index, make, pipe, parent_pipe, shared_memory, error_queue, *rest) -> None:
    """Gymnasium's worker, which leaves signals to the main process and tells what went wrong in making its environment.

    The handlers do nothing, instead of SIG_IGN, because that would be handed down to what an environment starts.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _do_nothing)
    try:
        env = make()
    except Exception as error:
        fault = _NotMade(f"raised {describe(error)} when it was made")
        pipe.recv()
        error_queue.put((index, _NotMade, fault, ""))
        pipe.send((None, False))
        return
    with suppress(ConnectionError):  # the main process has died
        _async_worker(index, lambda: env, pipe, parent_pipe, shared_memory, error_queue, *rest)


def _do_nothing(_number, _frame) -> None:
    pass
