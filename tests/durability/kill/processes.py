"""Finds the processes of a run from outside."""

import os
import re
from pathlib import Path


def processes_of(folder: Path) -> dict[int, int | None]:
    """The living processes of a run, which have its folder in their command lines, and their ranks."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line, around = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            continue
        if alive and str(folder).encode() in line and int(entry.name) != os.getpid():
            rank = re.search(rb"\0PMI_RANK=(\d+)", b"\0" + around)
            found[int(entry.name)] = int(rank[1]) if rank and b"mpiexec" not in line else None
    return found
