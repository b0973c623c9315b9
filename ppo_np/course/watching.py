"""Grade a lesson again whenever its file is saved."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

INTERVAL = 0.3  # seconds between two looks at the files


def watch(files: Iterable[Path], saved: Callable[[Path], None], stop: Callable[[], bool] = lambda: False) -> None:
    """Call `saved` with each file that has changed, until `stop` says so or the user presses Ctrl-C.

    Editors write in several ways: some replace the file, some empty it first. So a change counts when the file has not
    changed again for one interval.
    """
    files = list(files)
    known = {file: _signature(file) for file in files}
    pending: dict[Path, object] = {}
    while not stop():
        time.sleep(INTERVAL)
        for file in files:
            now = _signature(file)
            if now != known[file]:
                if now is not None and pending.get(file) == now:
                    known[file] = now
                    del pending[file]
                    saved(file)
                else:
                    pending[file] = now


def _signature(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file is saved; None if it is not there."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
