"""A time limit for calls of environments in this process."""

import signal
import threading
from collections.abc import Callable
from typing import Self

from ppo_np.errors import EnvironmentFault

TICKS = 4
LONGEST_TIMEOUT = 1e6  # seconds; timers cannot count much further, so a longer timeout means no limit


class Watchdog:
    """A context that raises `EnvironmentFault` in the main thread when one call of the environments takes too long.

    A timer sends four signals within the limit, and the fourth one that finds the same call still running raises the
    fault. (Signals are counted and not seconds, because a suspended process does not hang.) It does nothing outside the
    main thread, where signals are not available, or if other code uses the same signal. It cannot interrupt C code that
    never returns to Python: such environments must run in worker processes.

    Args:
        timeout: seconds; inf means no limit.
        call: returns something that identifies the environments' present call; None if they are idle.
        who: returns the name of the environment that is running.
        did, setting: the rest of the sentence, before and after the limit.
    """

    def __init__(
        self, timeout: float, call: Callable[[], object], who: Callable[[], str],
        did: str = "did not answer", setting: str = " (env_timeout)",
    ):  # fmt: skip
        self.timeout = timeout
        self._did, self._setting = did, setting
        self._call, self._who = call, who
        self._last_call: object = None
        self._ticks = 0
        self._active = False

    def __enter__(self) -> Self:
        if (
            self.timeout <= LONGEST_TIMEOUT
            and hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
            and signal.getitimer(signal.ITIMER_REAL)[0] == 0
        ):
            self._active = True
            self._last_call = self._call()
            signal.signal(signal.SIGALRM, self._tick)
            signal.setitimer(signal.ITIMER_REAL, self.timeout / TICKS, self.timeout / TICKS)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._active:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            self._active = False

    def _tick(self, *_: object) -> None:
        call = self._call()
        self._ticks = self._ticks + 1 if call is not None and call == self._last_call else 0
        self._last_call = call
        if self._ticks >= TICKS:
            self._ticks = 0  # if the fault only ends a film, the step goes on and has the full time again
            raise EnvironmentFault(f"{self._who()} {self._did} within {self.timeout:g} s{self._setting}")
