"""Files that cannot be written: a failure is reported once while it lasts, and training continues."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Incidents:
    """Records the files that cannot be written at present.

    Args:
        report: called with one sentence when a file begins to fail.

    Attributes:
        lasting: file that cannot be written -> the reason.
    """

    def __init__(self, report: Callable[[str], None]):
        self._report = report
        self.lasting: dict[str, str] = {}

    @contextmanager
    def of(self, what: Path | str) -> Iterator[None]:
        """A context in which `what` is written. A failure is recorded instead of raised; success removes the record."""
        what = str(what)
        try:
            yield
        except (OSError, MemoryError) as error:
            code = getattr(error, "errno", None)
            reason = os.strerror(code) if code else " ".join(str(error).split()) or type(error).__name__
            if what not in self.lasting:
                self._report(f"{what} cannot be written ({reason}): training continues and will try again.")
            self.lasting[what] = reason
        else:
            self.lasting.pop(what, None)

    def summary(self) -> str:
        """One sentence that names the files that could not be written."""
        return "; ".join(f"{what} could not be written: {reason}" for what, reason in self.lasting.items()) + "."
