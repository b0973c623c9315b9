"""The CSV files of a run folder: written row by row, and read whatever is in them."""

import math
import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ppo_np.saving.files import AppendFile, write_whole


class CSVLogger:
    """Writes a CSV file row by row.

    Args:
        path: the file; an existing one is continued.
        columns: names of the columns; the first is "update".
        last_update: rows of later updates, rows that are damaged and an incomplete last row are removed first. A file
            without any row that can be read is renamed to NAME.damaged, with a warning.
        grows: whether other columns than these are kept, and can be added by `log`.

    Attributes:
        rows: the rows that the file had at the beginning, by the names of the columns. A field that the file has not is
            empty.

    Raises OSError if the file cannot be read or created.
    """

    def __init__(self, path: Path, columns: Sequence[str], last_update: int = 0, grows: bool = False):
        whole = [row for row in read_rows(path) if re.fullmatch("[0-9]{1,18}", row.get(columns[0], ""))]
        added = [name for name in (whole[0] if whole and grows else ()) if name not in columns]
        columns = [*columns, *added]
        header = _line(columns)
        kept = [row for row in whole if int(row[columns[0]]) <= last_update]
        self.rows = [{name: row.get(name, "") for name in columns} for row in kept]
        if not whole and _has_rows(path, header):
            kept_as = path.replace(path.with_name(f"{path.name}.damaged"))
            warnings.warn(f"{path} has no row that can be read; it is kept as {kept_as.name}.", RuntimeWarning, 2)
        write_whole(path, b"".join([header, *(_line(row.values()) for row in self.rows)]))
        self._file, self._added = AppendFile(path, header), added

    def log(self, row: Iterable[object], more: Mapping[str, float] | None = None) -> None:
        """Append one row; NaN becomes an empty cell.

        Args:
            row: the fields of the columns that were given.
            more: other numbers by the names of their columns. A new name becomes a new column, at the end.

        Raises OSError if the row cannot be written now. It is kept, and written together with the next one; the numbers
        of new columns are lost.
        """
        more = more or {}
        try:
            self._add_columns([name for name in more if name not in self._added])
        finally:
            cells = [*row, *(more.get(name, math.nan) for name in self._added)]
            self._file.append(_line("" if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells))

    def _add_columns(self, names: Sequence[str]) -> None:
        """Write the whole file again with more columns, which are empty so far; OSError leaves it as it was."""
        if not names:
            return
        self._file.append(b"")  # no row is pending after this
        header, *rows = self._file.path.read_bytes().splitlines()
        header = b",".join([header, *map(str.encode, names)])
        write_whole(self._file.path, b"".join([header, b"\n", *(row + b"," * len(names) + b"\n" for row in rows)]))
        self._file.head = header + b"\n"
        self._added = [*self._added, *names]

    def sync(self) -> None:
        """Force the file to disk. Raises OSError if that fails."""
        self._file.sync()


def _has_rows(path: Path, header: bytes) -> bool:
    """Whether there is more in a file than its first line, or another one than `header`."""
    data = path.read_bytes() if path.exists() else b""
    return bool(data) and (not data.startswith(header) or data.count(b"\n") > 1)


def _line(row: Iterable[object]) -> bytes:
    return (",".join(map(str, row)) + "\n").encode()  # no field of ours has a comma, a quote or a line break


def read_rows(path: Path, tail: int = 0) -> list[dict[str, str]]:
    """The rows of a CSV file, by the names in its first line; none if there is no such file.

    With `tail`, only the rows in its last so many bytes.

    Rows that are longer or shorter than the first line and an incomplete last row are left out. Bytes that are not
    UTF-8 become U+FFFD. Raises OSError if the file cannot be read.
    """
    try:
        data = _head_and_tail(path, tail) if tail else path.read_bytes()
    except FileNotFoundError:
        return []
    header, *rows = (line.rstrip("\r").split(",") for line in data.decode("utf-8", "replace").split("\n")[:-1] or [""])
    return [dict(zip(header, row, strict=True)) for row in rows if len(row) == len(header)]


def _head_and_tail(path: Path, tail: int) -> bytes:
    """The first line of a file, and the whole lines in its last `tail` bytes."""
    with open(path, "rb") as file:
        header = file.readline()
        start = os.fstat(file.fileno()).st_size - tail
        if start > len(header):
            file.seek(start - 1)
            file.readline()  # the rest of a row, or only the end of the one before
        return header + file.read()


def number(row: Mapping[str, str], name: str) -> float:
    """A field of a row as a number; NaN if it is empty, missing or no number."""
    try:
        return float(row[name])
    except (KeyError, ValueError):
        return math.nan
