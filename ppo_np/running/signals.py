"""Ctrl-C, SIGTERM and a closed terminal as requests to stop, instead of exceptions at any line."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

STOPPING = b"\nstopping after the current step; a second signal ends the process at once\n"
STOPPING_ALL = b"\nstopping after the present update; a second signal ends all ranks at once\n"
TWICE = 0.1  # seconds; a signal that comes again within this time was sent twice, as `timeout` does: also to the group


class StopSignals:
    """While active, the first SIGINT, SIGTERM or SIGHUP calls `on_stop`; a second one ends the process at once.

    What comes within 0.1 s after the first signal is not a second one.

    SIGHUP tells that the terminal was closed. It stays ignored where `nohup` has ignored it.

    Reason: libraries may ignore a KeyboardInterrupt in an import or a compilation, or turn it into another error.

    Attributes:
        number: of the received signal; 0 before the first one.
        on_stop: called when the signal arrives; must be safe in a signal handler.
        message: written to stderr when the signal arrives.
    """

    def __init__(self) -> None:
        self.number = 0
        self.message = STOPPING
        self.on_stop: Callable[[], None] = lambda: None

    @property
    def exit_code(self) -> int:
        """0 without a signal, otherwise 128 + its number: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number if self.number else 0

    def __enter__(self) -> "StopSignals":
        numbers = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._previous = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.number:
            return
        self.number = number
        try:
            time.sleep(TWICE)
        finally:  # the handler of another signal may raise an exception meanwhile
            for handled in self._previous:
                signal.signal(handled, signal.SIG_DFL)
            with suppress(OSError):  # stderr may be a closed pipe or a full disk
                os.write(2, self.message)
            self.on_stop()
