"""Draw the pictures of docs/pictures.md and write their tables: `python -m docs.figures.draw [NAME ...]`.

Without names: all of them, and the pictures of the lessons (docs/figures/lesson*.py, each a script of its own). Each
module NAME has `draw()`, which returns the figure, and `table()`, the numbers that stand below it on the page, between
`<!-- table NAME -->` and `<!-- end -->`. Everything is computed by the kernels.
"""

import argparse
import importlib
import re
import subprocess
import sys
from pathlib import Path

FIGURES = Path(__file__).parent
PAGE = FIGURES.parent / "pictures.md"
IMAGES = FIGURES.parent / "images"
NAMES = (
    "differences", "baseline", "gae_weights", "surrogate", "loss_surface", "value_clip", "entropy", "fork", "adam",
)  # fmt: skip


def as_markdown(lines: list[list[str]]) -> str:
    """A table whose first line is the head."""
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


def with_tables(page: str, names: tuple[str, ...] | list[str] = NAMES) -> str:
    """The page with the tables of these pictures as they are computed now."""
    for name in names:
        table = as_markdown(importlib.import_module(f"docs.figures.{name}").table())
        between = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = between.subn(lambda match, table=table: f"{match[1]}\n{table}\n\n{match[2]}", page)
        if count != 1:
            raise ValueError(f"docs/pictures.md has {count} places for the table {name}, not one.")
    return page


def draw(name: str, folder: Path) -> Path:
    """Write the picture of one module as folder/NAME.svg."""
    from docs.figures.style import save

    path = folder / f"{name}.svg"
    save(importlib.import_module(f"docs.figures.{name}").draw(), path)
    return path


def main(names: list[str]) -> int:
    """Draw, write the tables, and return the exit code."""
    for name in names or NAMES:
        print(draw(name, IMAGES))
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), names or NAMES), encoding="utf-8")
    scripts = [] if names else sorted(FIGURES.glob("lesson*.py"))
    return max((subprocess.run([sys.executable, script]).returncode for script in scripts), default=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    given = parser.parse_args().names
    for one in given:
        if one not in NAMES:
            parser.error(f"NAME is {one!r}; allowed are {', '.join(NAMES)}.")
    sys.exit(main(given))
