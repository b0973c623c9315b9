"""Numbers and tables in Markdown."""

import math
from collections.abc import Mapping, Sequence


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
