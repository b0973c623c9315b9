"""Ctrl-C and SIGTERM as a request to stop, instead of an exception at any line."""

import os
import signal
from collections.abc import Callable

STOPPING = b"\nstopping after the current step; a second signal ends the process at once\n"
STOPPING_ALL = b"\nstopping after the present update; a second signal ends all ranks at once\n"


class StopSignals:
    """While active, the first SIGINT or SIGTERM is noted and passed on; a second one ends the process at once.

    A KeyboardInterrupt would come up in whatever runs at that moment, in the middle of an import or of a compilation
    for instance, where libraries swallow it or turn it into another error.

    Attributes:
        number: of the signal received; 0 as long as there is none.
        on_stop: called when it arrives; must be safe in a signal handler.
        message: written to stderr when it arrives.
    """

    def __init__(self):
        self.number = 0
        self.message = STOPPING
        self.on_stop: Callable[[], None] = lambda: None

    @property
    def exit_code(self) -> int:
        """0 without a signal, otherwise 128 + its number: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number if self.number else 0

    def __enter__(self) -> "StopSignals":
        self._previous = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame) -> None:
        self.number = number
        for one in self._previous:
            signal.signal(one, signal.SIG_DFL)
        os.write(2, self.message)
        self.on_stop()
