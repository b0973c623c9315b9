"""Numbers and tables, in Markdown and for the terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def number(value: float | None, never: str = "never") -> str:
    """Three digits, or a whole number; `never` of what never came, infinity or None."""
    if value is None or math.isinf(value):
        return never
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ends(found: Mapping[str, Any], low: str = "q1", high: str = "q3", never: str = "never") -> str:
    """The two ends of a spread."""
    return f"{number(found[low], never)} to {number(found[high], never)}"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[int] = (0,)) -> list[str]:
    """Lines of a Markdown table; all columns but those of words are numbers."""
    rule = ["---" if column in words else "---:" for column in range(len(heading))]
    return ["| " + " | ".join(row) + " |" for row in (heading, rule, *rows)] + [""]


def table_of(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table; the keys of the first row are its headings."""
    head, *body = (f"| {' | '.join(line)} |" for line in (rows[0], *(row.values() for row in rows)))
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose other columns are numbers."""
    table = Table(title=title)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
