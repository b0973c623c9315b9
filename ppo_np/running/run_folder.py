"""The folder of a run: its name, its lock, and config.json."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ppo_np.errors import UserError
from ppo_np.logs.filenames import CONFIG, LOCK
from ppo_np.running.options import TrainOptions
from ppo_np.running.resume import OPTIONS
from ppo_np.saving.checkpoint import Checkpoint, library_versions
from ppo_np.saving.files import remove_temporary, write_whole

if sys.platform != "win32":
    import fcntl


@contextmanager
def open_run_folder(folder: Path) -> Iterator[Path]:
    """Create a run folder if it does not exist, and lock it while the context is active.

    Raises UserError if the folder cannot be created or written, or if another run is using it.
    """
    with as_user_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "w")  # noqa: SIM115  the lock lasts while the file is open
    with file:
        if sys.platform != "win32":
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"run_dir is {str(folder)!r}, but another run is using it.") from None
            except OSError:  # the file system has no locks
                pass
        remove_temporary(folder)
        yield folder


@contextmanager
def as_user_error(folder: Path) -> Iterator[None]:
    """Turn an OSError about the run folder into a `UserError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"run_dir is {str(folder)!r}, but that folder cannot be made or written: {reason}.") from error


def default_folder(options: TrainOptions) -> Path:
    """runs/<env>__<preset>__<seed>__<time>, with a counter if two runs start in the same second."""
    env = options.config.env_id.replace("/", "_").replace(":", "_")
    base = Path("runs") / f"{env}__{options.preset}__{options.config.seed}__{datetime.now():%Y%m%d-%H%M%S}"
    folder, count = base, 1
    while folder.exists():
        count += 1
        folder = base.with_name(f"{base.name}-{count}")
    return folder


def write_config(folder: Path, options: TrainOptions, threads: int, ranks: int, saved: Checkpoint | None) -> None:
    """Write config.json: settings, options, threads and ranks in use, versions, and the steps of each resume."""
    resumed = [*_resumed_at(folder), saved.counters["global_step"]] if saved else []
    document = {
        "preset": options.preset,
        "config": options.config.to_dict(),
        "options": {name: getattr(options, name) for name in OPTIONS if name != "preset"} | {"ranks": ranks},
        "blas_threads": threads,
        "versions": library_versions(),
        "resumed": resumed,
    }
    write_whole(folder / CONFIG, (json.dumps(document, indent=2) + "\n").encode())


def _resumed_at(folder: Path) -> list[Any]:
    """The steps at which the run was resumed before, from its config.json; empty if that is not readable."""
    try:
        resumed = json.loads((folder / CONFIG).read_text())["resumed"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return resumed if isinstance(resumed, list) else []
