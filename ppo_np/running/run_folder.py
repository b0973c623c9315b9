"""The folder of a run: its name, its lock, and config.json."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ppo_np.errors import UserError, check
from ppo_np.logs.filenames import CONFIG, LOCK, OVERRIDES, VIDEOS
from ppo_np.running import resume
from ppo_np.running.options import TrainOptions
from ppo_np.saving.checkpoint import library_versions
from ppo_np.saving.files import lock, remove_temporary, write_whole


@contextmanager
def open_run_folder(options: TrainOptions) -> Iterator[Path]:
    """Make the run folder, or take that of the run to resume, and lock it while the context is active.

    If no run has begun in it at the end, because something was refused, the folder is removed again.

    Raises UserError if the folder cannot be created or written, if it holds something else, or if another run is using
    it.
    """
    resumed = resume.folder_of(options.resume) if options.resume else None
    asked = options.run_dir or resumed
    folder, made = _make(asked) if asked else _make_default(options)

    def check_unused() -> None:
        with as_user_error(folder):
            unused = folder == resumed or resume.is_unused(folder)
        check(unused, "run_dir", str(folder), "a new or an empty folder (--resume goes on with a run)")

    check_unused()
    with ExitStack() as at_end:
        at_end.enter_context(_used_once(folder.resolve()))
        with as_user_error(folder):
            file = at_end.enter_context(open(folder / LOCK, "w"))  # the lock lasts while the file is open
        if not lock(file):
            raise UserError(f"run_dir is {str(folder)!r}, but another run is using it.")
        check_unused()  # again, because another run may have used it meanwhile
        remove_temporary(folder)
        try:
            yield folder
        finally:
            if not (folder / CONFIG).exists():
                _remove(folder, made)


def _make(folder: Path, exist_ok: bool = True) -> tuple[Path, list[Path]]:
    """Make a folder and its parents. Returns it, and those that did not exist, the innermost first."""
    with as_user_error(folder):
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=exist_ok)
    return folder, made


def _make_default(options: TrainOptions) -> tuple[Path, list[Path]]:
    """Make runs/<env>__<preset>__<seed>__<time>, with a counter if there is such a folder; returns the same as `_make`.

    Of a preset that is a file, this is its name without folder and .toml.
    It is made the moment its name is chosen, so that runs that start in the same second get different folders.
    """
    env = options.config.env_id.replace("/", "_").replace(":", "_")
    preset = Path(options.preset).stem if options.preset.endswith(".toml") else options.preset
    name = f"{env}__{preset}__{options.config.seed}__{datetime.now():%Y%m%d-%H%M%S}"
    base = folder = Path("runs").absolute() / name
    number = 1
    while True:
        try:
            return _make(folder, exist_ok=False)
        except UserError:
            if not folder.is_dir():
                raise
        number += 1
        folder = base.with_name(f"{name}-{number}")


_IN_USE: set[Path] = set()  # folders of runs in this process, which a lock of the system does not keep apart


@contextmanager
def _used_once(folder: Path) -> Iterator[None]:
    """A context in which no other run of this process can use the folder; raises UserError if one does."""
    if folder in _IN_USE:
        raise UserError(f"run_dir is {str(folder)!r}, but another run is using it.")
    _IN_USE.add(folder)
    try:
        yield
    finally:
        _IN_USE.discard(folder)


def _remove(folder: Path, made: Sequence[Path]) -> None:
    """Remove a folder in which no run has begun, as far as it is empty and was made for that run."""
    with suppress(OSError):
        (folder / LOCK).unlink()
    for path in (folder / VIDEOS, *made) if folder in made else ():
        with suppress(OSError):
            path.rmdir()


@contextmanager
def as_user_error(folder: Path) -> Iterator[None]:
    """Turn an OSError about the run folder into a `UserError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"run_dir is {str(folder)!r}, but that folder cannot be made or written: {reason}.") from error


def write_config(
    folder: Path, options: TrainOptions, threads: int, ranks: int, resumed_at: int | None,
    overrides: list[dict[str, Any]], more: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write config.json: settings, options, threads and ranks in use, versions, the steps of each resume, overrides.

    `resumed_at` is the step at which the run goes on, None if it begins.
    `overrides` are the records of `resume.all_overrides`; overrides.csv has them as well, if there are any. `more` is
    added.
    """
    before = resume.read_config(folder).get("resumed") if resumed_at is not None else None
    resumed = [step for step in before if type(step) is int] if isinstance(before, list) else []
    kept = {name: getattr(options, name) for name in resume.OPTIONS if name != "preset"}
    document = {
        "preset": options.preset,
        "config": options.config.to_dict(),
        "options": kept | {"ranks": ranks},
        "blas_threads": threads,
        "versions": library_versions(),
        "resumed": [] if resumed_at is None else [*resumed, resumed_at],
        "overrides": overrides,
        **(more or {}),
    }
    if overrides or (folder / OVERRIDES).exists():
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows(
            [resume.OVERRIDE_COLUMNS, *(one.values() for one in overrides)]
        )
        write_whole(folder / OVERRIDES, table.getvalue().encode())
    write_whole(folder / CONFIG, (json.dumps(document, indent=2) + "\n").encode())
