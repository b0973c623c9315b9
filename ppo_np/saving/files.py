"""Files that are whole or not there, whatever happens while they are written: a kill, a full disk, a lost folder."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write_whole(
    path: Path, data: bytes, verify: Callable[[bytes], object] | None = None, previous: Path | None = None
) -> None:
    """Write a file so that its name always stands for a whole one: the old one, or the new one.

    The data goes to a temporary file in the same folder, is forced to disk and read again, and takes the name in one
    step; then the folder is forced to disk.

    Args:
        path: of the file.
        data: all of it.
        verify: called with what was read again; raises if that is not right.
        previous: a name under which the old file is kept.

    Raises:
        OSError: The folder is missing, full or read-only; the old file is untouched.
    """
    temporary = _temporary(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            _write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if verify:
            verify(temporary.read_bytes())
        if previous and path.exists():
            _keep(path, previous)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def remove_temporary(folder: Path) -> None:
    """Remove what `write_whole` has left in a folder because it was killed."""
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)


def _write(descriptor: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _keep(path: Path, previous: Path) -> None:
    """Give a file a second name, so that it never loses the first one; where the system cannot do that, rename it."""
    second = _temporary(previous)
    with suppress(FileNotFoundError):  # left by a killed process of the same number
        os.unlink(second)
    try:
        os.link(path, second)
    except OSError:
        os.replace(path, previous)
        return
    os.replace(second, previous)
    with suppress(OSError):  # where both were names of the same file already, `replace` has done nothing
        os.unlink(second)


def _sync_folder(folder: Path) -> None:
    """Force a new name to disk; not every system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AppendFile:
    """A file that grows by whole records. What cannot be written is kept, and tried again with the next record.

    Args:
        path: of the file; made if it is not there.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: Path):
        self.path = path
        self.pending = bytearray()
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))

    def append(self, record: bytes) -> None:
        """Write a record, behind those that are still pending.

        Raises:
            OSError: It cannot be written now; the file ends with a whole record.
        """
        self.pending += record
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            try:
                _write(descriptor, self.pending)
            except BaseException:
                os.ftruncate(descriptor, size)
                raise
            self.pending.clear()
        finally:
            os.close(descriptor)

    def sync(self) -> None:
        """Write what is pending and force the file to disk.

        Raises:
            OSError: That is not possible now.
        """
        self.append(b"")
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
