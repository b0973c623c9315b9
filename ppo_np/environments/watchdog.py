"""A limit on how long environments in this very process may take for one step."""

import signal
import threading
from contextlib import AbstractContextManager

from ppo_np.errors import EnvironmentFault

TICKS = 4
LONGEST_TIMEOUT = 1e6  # seconds; timers cannot count much further, so more is no limit at all


class Watchdog(AbstractContextManager):
    """While active, raises `EnvironmentFault` in the main thread when one call of the environments takes too long.

    A timer's signal comes four times within the limit; at the fourth that finds the same call still under way, the
    fault is raised there. (Ticks are counted, not seconds, so that a suspended process does not look like a hanging
    one.) It does nothing in other threads than the main one, where signals are not available, nor if somebody else uses
    that signal, and it cannot interrupt C code that never returns to Python: for that, environments must run in worker
    processes.

    Args:
        timeout: seconds; inf never raises.
        call: gives the number of the environments' present call, None if they are idle.
        who: names the environment that is at work.
    """

    def __init__(self, timeout: float, call, who):
        self.timeout, self._call, self._who = timeout, call, who
        self._seen, self._ticks = None, 0
        self._active = False

    def __enter__(self):
        free = (
            self.timeout <= LONGEST_TIMEOUT
            and hasattr(signal, "setitimer")
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
            and signal.getitimer(signal.ITIMER_REAL)[0] == 0
        )
        if free:
            self._active = True
            signal.signal(signal.SIGALRM, self._tick)
            signal.setitimer(signal.ITIMER_REAL, self.timeout / TICKS, self.timeout / TICKS)
        return self

    def __exit__(self, *exc_info):
        if self._active:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            self._active = False

    def _tick(self, signum, frame) -> None:
        call = self._call()
        self._ticks = self._ticks + 1 if call is not None and call == self._seen else 0
        self._seen = call
        if self._ticks >= TICKS:
            raise EnvironmentFault(f"{self._who()} did not answer within {self.timeout:g} s (env_timeout)")
