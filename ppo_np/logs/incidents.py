"""Files that cannot be written: told once, as long as it lasts, and training goes on."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Incidents:
    """Keeps count of what cannot be written at present.

    Args:
        tell: gets one sentence when an incident begins.

    Attributes:
        lasting: what cannot be written now -> the reason.
    """

    def __init__(self, tell: Callable[[str], None]):
        self._tell = tell
        self.lasting: dict[str, str] = {}

    @contextmanager
    def of(self, what: Path | str) -> Iterator[None]:
        """Let an attempt to write `what` fail without an exception; the next attempt may put an end to the incident."""
        what = str(what)
        try:
            yield
        except (OSError, MemoryError) as error:
            code = getattr(error, "errno", None)
            reason = os.strerror(code) if code else " ".join(str(error).split()) or type(error).__name__
            if what not in self.lasting:
                self._tell(f"{what} cannot be written ({reason}): training goes on, and it will be tried again.")
            self.lasting[what] = reason
        else:
            self.lasting.pop(what, None)

    def summary(self) -> str:
        """One sentence on what is missing in the end."""
        return "; ".join(f"{what} could not be written: {reason}" for what, reason in self.lasting.items()) + "."
