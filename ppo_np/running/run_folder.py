"""The folder of a run: its name, its making, the lock on it, and config.json."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ppo_np.errors import UserError
from ppo_np.logs.filenames import CONFIG, LOCK
from ppo_np.running.options import TrainOptions
from ppo_np.running.resume import OPTIONS
from ppo_np.saving.checkpoint import Checkpoint, library_versions
from ppo_np.saving.files import remove_temporary, write_whole

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def open_run_folder(folder: Path) -> Iterator[Path]:
    """Make a run folder if it is not there, and keep other runs out of it while the context lasts.

    Raises:
        UserError: It cannot be made or written to, or another run is at work there.
    """
    with as_user_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "w")  # noqa: SIM115  a lock lasts as long as its file is open
    with file:
        if fcntl:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"run_dir is {str(folder)!r}, but another run is at work there.") from None
            except OSError:  # a file system without locks
                pass
        remove_temporary(folder)
        yield folder


@contextmanager
def as_user_error(folder: Path) -> Iterator[None]:
    """Turn an OSError in the setting up of a run folder into a `UserError`."""
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


def write_config(
    folder: Path, options: TrainOptions, threads: int, ranks: int, saved: Checkpoint | None
) -> None:  # fmt: skip
    """Write settings, options, threads and ranks in use, versions as config.json, and where the run was resumed.

    Raises:
        OSError: It cannot be written.
    """
    before = _document(folder).get("resumed") if saved else None
    resumed = before if isinstance(before, list) else []
    document = {
        "preset": options.preset,
        "config": options.config.to_dict(),
        "options": {name: getattr(options, name) for name in OPTIONS if name != "preset"} | {"ranks": ranks},
        "blas_threads": threads,
        "versions": library_versions(),
        "resumed": [*resumed, *([saved.counters["global_step"]] if saved else [])],
    }
    write_whole(folder / CONFIG, (json.dumps(document, indent=2) + "\n").encode())


def _document(folder: Path) -> dict:
    try:
        document = json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {}
