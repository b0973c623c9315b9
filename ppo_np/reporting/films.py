"""The film of a run, for a page or a folder of its own."""

import base64
from pathlib import Path

from ppo_np.logs.filenames import VIDEOS

KINDS = {".mp4": "video/mp4", ".webm": "video/webm", ".gif": "image/gif"}


def newest_film(folder: Path) -> Path | None:
    """The film in the videos of a run folder that was written last; None if there is none."""
    films = [path for path in (folder / VIDEOS).glob("*") if path.suffix in KINDS and not path.name.startswith(".")]
    return max(films, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)


def as_data_url(film: Path) -> str:
    """A film as an address that holds all of it. Raises OSError if it cannot be read."""
    return f"data:{KINDS[film.suffix]};base64,{base64.b64encode(film.read_bytes()).decode()}"
