"""Draw the figures of docs/pictures.md and refresh its tables: `python -m docs.figures.draw [NAME ...]`.

It needs matplotlib (the extra `docs`). Each figure is a module of this folder with `HEAD` (names of the table's
columns), `numbers()` (its rows) and `draw()` (the figure). Without names all are drawn.
"""

import argparse
import importlib
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
PAGE = DOCS / "pictures.md"
IMAGES = DOCS / "images"
NAMES = (
    "baseline_variance",
    "gae_weights",
    "surrogate",
    "loss_surface",
    "value_clip",
    "entropy_simplex",
    "gradient_flow",
    "differences",
    "adam_path",
)


def cell(value: object) -> str:
    """A cell of a table: text as it is, a number with three decimals."""
    # Adding 0 turns -0.0 into 0.0.
    return f"{round(value, 3) + 0.0:.3f}" if isinstance(value, float) else str(value)


def table(name: str) -> str:
    """The table of a figure as Markdown."""
    module = importlib.import_module(f"docs.figures.{name}")
    lines = [module.HEAD, ["---:"] * len(module.HEAD), *([cell(value) for value in row] for row in module.numbers())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_tables(page: str, names: tuple[str, ...] = NAMES) -> str:
    """The page with the tables between `<!-- table: NAME -->` and `<!-- end -->` written anew.

    Raises:
        ValueError: The page has no place for a table.
    """
    for name in names:
        place = re.compile(rf"(<!-- table: {name} -->\n\n)(?:\|.*\n)*\n?(<!-- end -->)")
        text = table(name)
        page, found = place.subn(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)
        if found != 1:
            raise ValueError(f"the page has {found} places for the table of {name}, not 1")
    return page


def draw(names: tuple[str, ...], folder: Path) -> None:
    """Draw figures into a folder, as NAME.svg each."""
    from docs.figures import style

    for name in names:
        style.save(importlib.import_module(f"docs.figures.{name}").draw(), folder / f"{name}.svg")
        print(f"Picture: {name}.svg")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        parser.error(f"NAME: {', '.join(unknown)} is no figure; allowed: {', '.join(NAMES)}")
    chosen = tuple(given.names) or NAMES
    draw(chosen, given.out)
    if given.out == IMAGES:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), chosen), encoding="utf-8")
