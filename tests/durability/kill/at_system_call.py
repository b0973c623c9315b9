"""Train as `python -m ppo_np.train` does, and be killed at one of the system calls of `ppo_np.saving.files`.

    python tests/durability/kill/at_system_call.py --kill "checkpoint.h5 5 9 replace before" -- --env-id CartPole-v1 ...
    python tests/durability/kill/at_system_call.py --trace calls.json -- --env-id CartPole-v1 ...

The former ends by SIGKILL before the 9th call of the 5th writing of checkpoint.h5, a `replace`; the latter notes which
calls there are.
"""

import argparse
import atexit
import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import NamedTuple

import plants

from ppo_np import train
from ppo_np.running import cli
from ppo_np.saving import files

EVENTS = "events"
WHEN = ("before", "half", "after")  # half: in the midst of a write, with half of the bytes written
UNTOUCHED = ("getpid", "fspath")  # no calls that have to do with files


class Point(NamedTuple):
    """Where a process is killed: at call number `call`, counted from 1, of a writing of a file.

    A writing begins when the file, or a temporary one that will take its name, is opened. Of the writings from number
    `writing` on, it is the first one whose call of that number has that name.
    """

    file: str
    writing: int
    call: int
    name: str
    when: str

    @classmethod
    def parse(cls, text: str) -> "Point":
        """The inverse of `str`."""
        file, writing, call, name, when = text.split()
        return cls(file, int(writing), int(call), name, when)

    def __str__(self) -> str:
        return " ".join(map(str, self))


class WatchedOS:
    """Stands for the module `os` in `ppo_np.saving.files`: notes the calls, and kills the process at one of them.

    Attributes:
        calls: file -> its writings, each the names of its calls.
    """

    def __init__(self, point: Point | None):
        self._point, self._file = point, ""
        self.calls: dict[str, list[list[str]]] = {}

    def __getattr__(self, name):
        original = getattr(os, name)
        return partial(self._call, name, original) if callable(original) and name not in UNTOUCHED else original

    def _call(self, name, original, *args, **kwargs):
        if name == "open" and not os.path.isdir(args[0]):
            self._file = plain_name(args[0])
            self.calls.setdefault(self._file, []).append([])
        if not self._file:
            return original(*args, **kwargs)
        self.calls[self._file][-1].append(name)
        when = self._point.when if self._point and self._is_here(name) else ""
        if when == "half":
            descriptor, data = args
            os.write(descriptor, data[: len(data) // 2])
        if when in ("before", "half"):
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return original(*args, **kwargs)
        finally:
            if when == "after":
                os.kill(os.getpid(), signal.SIGKILL)

    def _is_here(self, name) -> bool:
        writings = self.calls[self._file]
        here = (self._file, len(writings[-1]), name) == (self._point.file, self._point.call, self._point.name)
        return here and len(writings) >= self._point.writing


def plain_name(path) -> str:
    """The name that a temporary file will take; all event files of TensorBoard have one."""
    name = Path(path).name
    if name.endswith(".tmp"):
        name = name.removeprefix(".").rsplit(".", 2)[0]
    return EVENTS if name.startswith("events.") else name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kill", type=Point.parse, metavar="POINT", help="where")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="gets the calls of every file, as JSON")
    parser.add_argument("--plant", choices=plants.ALL, help="a bug to be found")
    parser.add_argument("arguments", nargs="*", help="of ppo_np.train, behind --")
    given = parser.parse_args()
    files.os = watched = WatchedOS(given.kill)
    if given.trace:
        atexit.register(lambda: given.trace.write_text(json.dumps(watched.calls)))
    if given.plant:
        plants.ALL[given.plant]()
    cli.run(lambda: train.main(given.arguments))


if __name__ == "__main__":
    main()
