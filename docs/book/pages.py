"""What the pages of the book have beside their Markdown: the navigation, and diagrams as tables.

The Markdown files stay as GitHub shows them. The navigation is added here: the course's lessons are found by their file
names, so that a new lesson needs no entry. A Mermaid flowchart, which GitHub draws, becomes a table of its nodes and
arrows, since drawing it would need a script from the network. A link to an interactive figure that stands in a line of
its own is followed by the figure itself.
"""

import html
import re
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]

CHAPTERS = {
    "Learn": ["course/index", "gradients", "notation", "pictures"],
    "Use": [
        "running",
        "reports",
        "warm-starts",
        "sweeps",
        "explain",
        "python",
        "export",
        "environments",
        "compiled-environments",
        "checkpoint",
        "reproducibility",
        "scale-out",
    ],
    "Look inside": ["architecture", "testing", "results", "performance", "benchmarks", "article"],
}
FIGURE = re.compile(r"^\[([^\]]+)\]\(((?:\.\./)?interactive/\w+\.html)\)$", re.MULTILINE)
FENCE = re.compile(r"^```mermaid\nflowchart TD\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def lessons(docs: Path = DOCS) -> list[str]:
    """Names of the lessons' pages in docs/course, in their order, and of the other pages there after them."""
    pages = sorted(path.stem for path in (docs / "course").glob("*.md") if path.stem != "index")
    return sorted(pages, key=lambda name: not name.startswith("lesson"))


def toctree(entries: list[str], caption: str = "") -> str:
    """A navigation block in MyST's syntax."""
    lines = ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), "", *entries, "```"]
    return "\n".join(lines) + "\n"


def flowchart_table(source: str) -> str:
    """The nodes of a Mermaid flowchart as an HTML table: name, text, and the nodes to which its arrows lead."""
    texts = dict(re.findall(r'^ *(\w+)\["(.*)"\]$', source, re.MULTILINE))
    arrows = re.findall(r"^ *(\w+) --> (\w+)$", source, re.MULTILINE)
    rows = []
    for name, text in texts.items():
        parts = re.sub(r"<[^>]*>", "\n", text).split("\n")
        words = " ".join(part for part in parts if part and part != name)
        targets = ", ".join(lower for upper, lower in arrows if upper == name) or "nothing"
        cells = (f"<td>{html.escape(cell)}</td>" for cell in (words, targets))
        rows.append(f"<tr><th>{html.escape(name)}</th>{''.join(cells)}</tr>")
    head = "<thead><tr><th>room</th><th>files</th><th>imports from</th></tr></thead>"
    return f'<table class="docutils">{head}<tbody>{"".join(rows)}</tbody></table>\n'


def with_frame(link: re.Match) -> str:
    """A link to an interactive figure, and the figure below it."""
    title, address = html.escape(link[1]), link[2]
    return f'{link[0]}\n\n<iframe src="{address}" title="{title}" loading="lazy"></iframe>'


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    text = FENCE.sub(lambda match: flowchart_table(match[1]), source[0])
    text = FIGURE.sub(with_frame, text)
    if docname == "index":
        text += "\n" + "\n".join(toctree(pages, caption) for caption, pages in CHAPTERS.items())
    elif docname == "course/index":
        text += "\n" + toctree(lessons(Path(app.srcdir)))
    source[0] = text


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
