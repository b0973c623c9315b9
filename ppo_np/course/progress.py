"""What a learner has done so far, kept in a file in the learner's folder."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ppo_np.course.lesson import Lesson
from ppo_np.errors import UserError

if sys.platform != "win32":
    import fcntl

NAME = ".course.json"


class Progress:
    """Lessons passed, hints taken and solutions shown. A damaged or missing file counts as nothing done.

    Args:
        folder: the learner's folder.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self.entries = _entries(self.path)

    def of(self, lesson: Lesson) -> dict[str, Any]:
        """What is known of a lesson: passed, points, hints, hunt (a seed), hunted, given_up."""
        return self.entries.setdefault(lesson.name, {})

    def record(self, lesson: Lesson, **values: Any) -> None:
        """Set values of a lesson and save. What another process has recorded meanwhile is kept.

        Raises UserError if the file cannot be written.
        """
        with _locked(self.path.parent):
            self.entries = _entries(self.path)
            self.of(lesson).update(values)
            self._save()

    def _save(self) -> None:
        text = json.dumps({"lessons": self.entries}, indent=1)
        try:
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=NAME)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, self.path)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {os.strerror(error.errno or 0)}.") from None


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return {name: entry for name, entry in read["lessons"].items() if isinstance(entry, dict)}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder, where there are locks. Two checks at the same time record one after the other."""
    if sys.platform == "win32":
        yield
        return
    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
