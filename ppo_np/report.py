"""A page about runs: `python -m ppo_np.report RUN [RUN ...] --out report.html`."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ppo_np.errors import UserError, check
from ppo_np.running import cli
from ppo_np.saving.files import write_whole

FILMS = (".mp4", ".webm", ".gif")


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Write one page about runs: settings that differ, curves, evaluations, losses, times, a film, the commands.

    Runs that differ only in the seed become one line with a band. The page loads nothing from anywhere.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Run folders, folders of run folders, or patterns like 'runs/CartPole*'."""
    label: tuple[str, ...] = ()
    """Names, one for each RUN; runs of the same name become one line (default: the settings that differ)."""
    out: Path = Path("report.html")
    """File to write."""
    window: int = 100
    """Smoothing: each point is the mean over this many last episodes (for other columns: updates)."""
    film: Path | None = None
    """Film to take in: .mp4, .webm or .gif (default: the newest one of the first run that has one)."""
    film_limit: float = 4.0
    """Megabytes: a film that has more is only named; the page becomes larger by 4/3 of a film."""

    def __post_init__(self) -> None:
        check(len(self.runs) >= 1, "RUN", [], "one run folder or more")
        names = len(self.runs)
        check(len(self.label) in (0, names), "label", list(self.label), f"one name for each RUN, so {names}")
        check(self.window >= 1, "window", self.window, "an integer >= 1")
        check(self.out.suffix in (".html", ".htm"), "out", str(self.out), "a file that ends in .html")
        check(os.path.isdir(self.out.absolute().parent), "out", str(self.out), "in a folder that exists")
        check(not os.path.isdir(self.out), "out", str(self.out), "a file, not a folder")
        check(self.film_limit >= 0, "film_limit", self.film_limit, "a number >= 0")
        if self.film:
            good = os.path.isfile(self.film) and self.film.suffix in FILMS
            check(good, "film", str(self.film), f"a file that ends in {' or '.join(FILMS)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, write the page, print its path, and return the exit code."""
    with cli.NUMBERS:
        options = tyro.cli(ReportOptions, args=arguments, prog="python -m ppo_np.report")
    # Slow imports: here, they do not delay --help and error messages.
    from ppo_np.reporting.films import newest_film
    from ppo_np.reporting.groups import read_groups
    from ppo_np.reporting.report_page import page
    from ppo_np.reporting.report_parts import Film

    groups, notes = read_groups(options.runs, options.label)
    for note in notes:
        print(f"warning: {note}", file=sys.stderr)
    films = (newest_film(run.folder) for group in groups for run in group.runs)
    film = options.film or next(filter(None, films), None)
    text = page(groups, options.window, Film(film, int(options.film_limit * 1e6)) if film else None)
    try:
        write_whole(options.out, text.encode())
    except OSError as error:
        raise UserError(f"out is {str(options.out)!r}, but it cannot be written: {error.strerror or error}.") from error
    print(options.out)
    return cli.DONE


if __name__ == "__main__":
    cli.run(main)
