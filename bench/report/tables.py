"""Numbers and tables, in Markdown and for the terminal."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def number(value: float) -> str:
    """Three digits, or a whole number; of what never came, "never"."""
    if math.isinf(value):
        return "never"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[int] = (0,)) -> list[str]:
    """Lines of a Markdown table; all columns but those of words are numbers."""
    rule = ["---" if column in words else "---:" for column in range(len(heading))]
    return ["| " + " | ".join(row) + " |" for row in (heading, rule, *rows)] + [""]


def table_of(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table; the keys of the first row are its headings."""
    head, *body = (f"| {' | '.join(line)} |" for line in (rows[0], *(row.values() for row in rows)))
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table whose first column is text and whose other columns are numbers."""
    table = Table(title=title)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
