"""The file that tells what a sweep or a search is: its command, and what must not change when it goes on."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ppo_np.errors import RunError, UserError, check
from ppo_np.logs.filenames import LOCK
from ppo_np.saving.files import lock, remove_temporary, write_whole


def new_folder(given: Path | None, env_id: str, what: str) -> Path:
    """The folder of a sweep or a search: the one that is given, else one with the time in its name."""
    env = env_id.replace("/", "_").replace(":", "_")
    return (given or Path("runs") / f"{env}__{what}__{datetime.now():%Y%m%d-%H%M%S}").absolute()


def read_manifest(folder: Path, file: str) -> dict[str, Any]:
    """The document in the manifest `file` of a folder. Raises UserError if there is none that can be read."""
    try:
        document = json.loads((folder / file).read_bytes())
        arguments, cwd = document["arguments"], document["cwd"]
        if not (isinstance(arguments, list) and all(isinstance(one, str) for one in [*arguments, cwd])):
            raise ValueError("it is not ours")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(folder)!r} has no {file} that can be read: {error}.") from error
    return document


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError about a file or a folder into a `RunError`."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{path} cannot be made or written: {error.strerror or error}.") from error


def write_manifest(folder: Path, file: str, arguments: list[str], content: dict[str, Any]) -> None:
    """Write the manifest of a folder: the command's arguments, the working directory, and more. Raises RunError."""
    document = {"arguments": arguments, "cwd": os.getcwd()} | content
    with writing(folder / file):
        write_whole(folder / file, (json.dumps(document, indent=2) + "\n").encode())


def arguments_of(folder: Path, file: str) -> list[str]:
    """The arguments of the command that began in a folder; the working directory becomes that of the command.

    Paths and modules in the arguments are found from there. Raises UserError as `read_manifest`, or if the directory is
    gone.
    """
    document = read_manifest(folder, file)
    try:
        os.chdir(document["cwd"])
    except OSError as error:
        raise UserError(f"{str(folder)!r} began in {document['cwd']!r}: {error.strerror}.") from error
    return document["arguments"]


@contextmanager
def held(folder: Path, file: str) -> Iterator[bool]:
    """The folder of a sweep or a search, made if it does not exist, and locked. Gives whether it has a manifest.

    If it has none at the end, because something was refused, it is removed again if it is empty.

    Raises UserError if it cannot be made or written, if it holds something else, or if another process uses it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_temporary(folder)
        known = (folder / file).exists()
        if not known:
            ours = {path.name for path in folder.iterdir()} <= {LOCK}
            check(ours, "run_dir", str(folder), f"a new or an empty folder, or one with a {file}")
        opened = open(folder / LOCK, "w")  # noqa: SIM115  the lock lasts while the file is open
    except OSError as error:
        raise UserError(f"run_dir is {str(folder)!r}, but it cannot be made or written: {error.strerror}.") from error
    with opened:
        if not lock(opened):
            raise UserError(f"run_dir is {str(folder)!r}, but another process is using it.")
        try:
            yield known
        finally:
            if not (folder / file).exists():
                with suppress(OSError):
                    (folder / LOCK).unlink()
                    folder.rmdir()
