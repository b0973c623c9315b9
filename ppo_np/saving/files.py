"""Files that are whole or not there, whatever happens during a write: a kill, a full disk, a lost folder."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

TEMPORARY = ".*.tmp"
CHECKPOINT, CONFIG = "checkpoint.h5", "config.json"  # in a run folder
UNABLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # of CIFS and some FUSE file systems


def write_whole(
    path: Path, data: bytes, verify: Callable[[bytes], object] | None = None, previous: Path | None = None
) -> None:
    """Write a file so that there is always a whole file at `path`: the old one, or the new one.

    The data goes to a temporary file in the same folder, is forced to disk and read again. Then the temporary file is
    renamed in one step, and the folder is forced to disk, where the file system is able to do that.

    Args:
        path, data: of the file.
        verify: called with what was read again; raises an exception if that is wrong.
        previous: a name under which the old file is kept.

    Raises:
        OSError: The folder is missing, full or read-only; the old file is untouched.
    """
    temporary = _temporary(path)
    try:
        with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as descriptor:
            _write(descriptor, data)
            os.fsync(descriptor)
        if verify:
            verify(temporary.read_bytes())
        if previous and path.exists():
            _keep(path, previous)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> bool:
    """Force new names in a folder to disk. Returns False if its file system is not able to do that.

    Raises:
        OSError: It is able, but that failed.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return True
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in UNABLE:
                raise
            return False
    return True


def lock(file: IO[str], shared: bool = False) -> bool:
    """Lock an open file for this process until it is closed. Returns False if another process has locked it.

    A shared lock needs a file that is open for reading; several processes may have it. True on a system or a file
    system without locks.
    """
    if sys.platform != "win32":
        try:
            fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True


def remove_temporary(folder: Path) -> None:
    """Remove the temporary files that a killed `write_whole` left in a folder."""
    for left in folder.glob(TEMPORARY):
        left.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A file descriptor that is closed at the end."""
    descriptor = os.open(path, flags, 0o644)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _keep(path: Path, previous: Path) -> None:
    """Give a file a second name, so that it never loses the first one; where the system cannot do that, rename it."""
    second = _temporary(previous)
    with suppress(FileNotFoundError):  # left by a killed process with the same id
        os.unlink(second)
    try:
        os.link(path, second)
    except OSError:
        os.replace(path, previous)
        return
    os.replace(second, previous)
    with suppress(OSError):  # `replace` does nothing if both names are of the same file
        os.unlink(second)


class AppendFile:
    """A file that grows by whole records. Records that cannot be written are kept and tried again with the next one.

    Args:
        path: of the file, which is created if it is missing, now and whenever it has been deleted.
        head: what a new file begins with.

    Raises:
        OSError: It cannot be created.
    """

    def __init__(self, path: Path, head: bytes = b""):
        self.path, self.head = path, head
        self.pending = bytearray()
        self.append(b"")

    def append(self, record: bytes) -> None:
        """Write the pending records and this one.

        Raises:
            OSError: They cannot be written now; the file ends with a whole record.
        """
        self.pending += record
        with _opened(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) as descriptor:
            size = os.fstat(descriptor).st_size
            try:
                _write(descriptor, self.pending if size else self.head + self.pending)
            except BaseException:
                os.ftruncate(descriptor, size)
                raise
            self.pending.clear()

    def sync(self) -> None:
        """Write the pending records and force the file to disk.

        Raises:
            OSError: That is not possible now.
        """
        self.append(b"")
        with _opened(self.path, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)
