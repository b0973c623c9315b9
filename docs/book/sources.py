"""Links from the pages to other files of the repository: each linked file gets a page of its own in the book.

`[gae](../kernels/advantage.py#L13)` works on GitHub. In the book it leads to a page with the source of that file and
its line 13. A link to a file or line that does not exist is a warning, which the build turns into an error.
"""

import html
import posixpath
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)(\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s:]+?)(#[^)\s]*)?\)")
PICTURES = {".png", ".svg", ".gif"}


def is_page(path: Path, docs: Path) -> bool:
    """Whether a linked path becomes a page of the book by itself."""
    return path.suffix == ".md" and path.is_relative_to(docs) and path.is_file()


def marked(text: str, page: Path, docs: Path) -> str:
    """The page's Markdown with `repo:` before each link to a file that is no page; code is left alone.

    Args:
        text: the Markdown.
        page: its file.
        docs: the folder of all pages.
    """

    def mark(match: re.Match) -> str:
        target = (page.parent / match[2]).resolve()
        if is_page(target, docs) or not target.is_relative_to(ROOT):
            return match[0]
        return f"{match[1]}repo:{target.relative_to(ROOT).as_posix()}{match[3] or ''})"

    pieces, end = [], 0
    for code in CODE.finditer(text):
        # Backquotes may stand in the text of a link, so a link is looked for around them too.
        if code[0].startswith("`") and "\n" not in code[0]:
            continue
        pieces += [LINK.sub(mark, text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, LINK.sub(mark, text[end:])])


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    docs = Path(app.srcdir)
    source[0] = marked(source[0], docs / f"{docname}.md", docs)


def page_name(file: str) -> str:
    """Where the book shows a file of the repository."""
    return f"source/{file}"


def _resolve(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Turn `repo:` links into links to the pages of sources, and note which files need one."""
    for node in doctree.findall(nodes.reference):
        uri = node.get("refuri", "")
        if not uri.startswith("repo:"):
            continue
        file, _, anchor = uri.removeprefix("repo:").partition("#")
        problem = link_problem(file, anchor)
        if problem:
            log.warning("%s", problem, location=node)
        base = posixpath.dirname(docname)
        if (ROOT / file).suffix == ".html":
            app.env.book_sources.add(file)
            target = file.removeprefix("docs/")
        else:
            app.env.book_sources.add(file)
            target = page_name(file) + ".html"
        node["refuri"] = posixpath.relpath(target, base or ".") + (f"#{anchor}" if anchor else "")


def link_problem(file: str, anchor: str) -> str:
    """A sentence if a link to a file of the repository does not work; empty if it does.

    Args:
        file: the path from the root of the repository.
        anchor: what follows the #, like L13; may be empty.
    """
    path = ROOT / file
    if not path.exists():
        return f"{file} is linked and does not exist"
    line = re.fullmatch(r"L(\d+)", anchor)
    if path.suffix == ".py" and anchor and not (line and 1 <= int(line[1]) <= path.read_text().count("\n")):
        return f"{file} has no place {anchor}"
    return ""


def _body(path: Path) -> str:
    """The HTML of a source page: a file with numbered lines, or the names in a folder."""
    if path.is_dir():
        names = sorted(child.name for child in path.iterdir() if not child.name.startswith(("_", ".")))
        return "<ul>" + "".join(f"<li><code>{html.escape(name)}</code></li>" for name in names) + "</ul>"
    if path.suffix in PICTURES:
        return "<p>A picture.</p>"
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    formatter = HtmlFormatter(linenos="inline", linespans="L", cssclass="highlight source")
    code = highlight(path.read_text(encoding="utf-8"), lexer, formatter)
    return re.sub(r'id="L-(\d+)"', r'id="L\1"', code)


def _collect(app: Sphinx) -> Iterator[tuple[str, dict[str, str], str]]:
    """The pages of all linked files; figures that are pages by themselves are copied."""
    for file in sorted(app.env.book_sources):
        path = ROOT / file
        if path.suffix == ".html" and path.is_file():
            target = Path(app.outdir) / file.removeprefix("docs/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        elif path.exists():
            title = f"<h1>{html.escape(file)}</h1>"
            yield page_name(file), {"title": html.escape(file), "body": title + _body(path)}, "page.html"


def _start(app: Sphinx) -> None:
    app.env.book_sources = set()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", _start)
    app.connect("source-read", _read)
    app.connect("doctree-resolved", _resolve)
    app.connect("html-collect-pages", _collect)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
