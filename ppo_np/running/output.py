"""Standard output and standard error of a command: whatever becomes of them, the command goes on."""

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

TERMINAL = "PPO_NP_TERMINAL"  # environment variable: the output of this rank goes through a pipe to a terminal


class LenientFile(io.FileIO):
    """A descriptor to write to. What it refuses is dropped: if a disk is full, a pipe is closed, a terminal is gone.

    Attributes:
        failure: the first reason for which data was dropped; None if there was none.
    """

    def __init__(self, descriptor: int):
        super().__init__(descriptor, "w", closefd=False)
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write as much as possible at once and return the number of bytes."""
        try:
            while (written := super().write(data)) is None:  # somebody has made the descriptor non-blocking
                select.select([], [self], [])
        except OSError as error:
            self.failure = self.failure or error
            return len(data)
        return written


@contextmanager
def lenient_output() -> Iterator[None]:
    """While active, writing to `sys.stdout` and `sys.stderr` raises no exception; `stdout_failure` tells of a failure.

    A character that the encoding has not is written as its number, like \\u2500. Descriptors 0 to 2 exist.
    """
    _open_missing_descriptors()
    standard = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_lenient, standard)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = standard


def stdout_failure() -> OSError | None:
    """Why something could not be written to standard output since `lenient_output` has begun; None if all was."""
    sys.stdout.flush()
    file = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return file.failure if isinstance(file, LenientFile) else None


def is_broken_pipe(failure: OSError) -> bool:
    """Whether nobody reads standard output any more, as after `| head`."""
    return failure.errno == errno.EPIPE


def _open_missing_descriptors() -> None:
    """Open descriptors 0, 1 and 2 on the null device where a shell has closed them (`2>&-`).

    Otherwise a file that is opened later gets such a number, and messages are written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number is this one


def _lenient(stream: TextIO | None) -> TextIO:
    """The stream, lenient if it writes to a descriptor; the null device for None, a stream that was closed."""
    if stream is None:
        return open(os.devnull, "w")
    buffer = getattr(stream, "buffer", None)
    if not isinstance(getattr(buffer, "raw", buffer), io.FileIO):  # in a test's memory, or the console of Windows
        return stream
    with suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(LenientFile(stream.fileno())), stream.encoding, "backslashreplace",
        line_buffering=bool(stream.line_buffering or getattr(stream, "write_through", False)),
    )  # fmt: skip


def make_console(stderr: bool = False, **options: Any) -> "Console":
    """A Rich console that prints names as they are: no markup like [red], no emoji codes, no highlighting.

    `options` are those of `rich.console.Console`.
    """
    from rich.console import Console  # slow: imported here, it does not delay --help

    file = sys.stderr if stderr else sys.stdout
    return Console(file=file, markup=False, emoji=False, highlight=False, **options)


def shows_bar(console: "Console") -> bool:
    """Whether a progress bar can be drawn: the output is a terminal, and one that can move its cursor.

    Rich alone would say so for any file if FORCE_COLOR is set.
    """
    terminal = console.file.isatty() or TERMINAL in os.environ
    return terminal and console.is_interactive and not console.is_dumb_terminal
