"""What a built book must not have: links that lead nowhere, and anything that is loaded from the network.

`python -m docs.book.offline build/book` looks at each page as a browser would: every link, picture, script and style
must be a file of the book, every anchor must exist on the page that it names. Links to other sites may be followed by
the reader; they are not loaded and not checked.
"""

import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

LOADED = {("img", "src"), ("script", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("link", "href")}
REMOTE = re.compile(r"(https?:)?//", re.IGNORECASE)
IN_CSS = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
STYLES = re.compile(r"""<style[^>]*>(.*?)</style>|<[^<>]*\sstyle="([^"]*)\"""", re.DOTALL)


class Page(HTMLParser):
    """The links, the loaded files and the anchors of one page."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what one element names."""
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif tag == "a" and name == "href" and value:
                self.links.append(value)
            elif (tag, name) in LOADED and value:
                self.loaded.append(value)


@cache
def read(path: Path) -> Page:
    """A page, parsed once."""
    return Page(path.read_text(encoding="utf-8"))


def _target_problem(page: Path, target: str) -> str:
    """What is wrong with a link or file that a page names; empty if nothing is."""
    file, _, anchor = target.partition("#")
    if re.match(r"[a-z]+:", file, re.IGNORECASE):
        return ""
    path = (page.parent / unquote(file.partition("?")[0])).resolve() if file else page
    if not path.is_file():
        return f"{target} leads nowhere"
    # Interactive figures take their values from the address.
    if anchor and path.suffix == ".html" and "=" not in anchor and unquote(anchor) not in read(path).anchors:
        return f"{target}: the page has no such anchor"
    return ""


def _styles(html: str) -> str:
    """The style sheets and style attributes in a page; its text may show others."""
    return "\n".join(part for pair in STYLES.findall(html) for part in pair)


def problems(book: Path) -> list[str]:
    """One sentence for each broken link, and for each thing that would be loaded from the network.

    Args:
        book: the folder of the built site.
    """
    found = []
    for path in sorted(book.rglob("*.html")):
        page, name = read(path), path.relative_to(book)
        for target in dict.fromkeys([*page.links, *page.loaded]):
            problem = _target_problem(path, target)
            if problem:
                found.append(f"{name}: {problem}")
        found += [f"{name}: loads {target}" for target in page.loaded if REMOTE.match(target)]
        found += [f"{name}: loads {target}" for target in IN_CSS.findall(_styles(path.read_text(encoding="utf-8")))]
    for path in sorted(book.rglob("*.css")):
        found += [f"{path.relative_to(book)}: loads {target}" for target in IN_CSS.findall(path.read_text())]
    return found


if __name__ == "__main__":
    lines = problems(Path(sys.argv[1]).resolve())
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines))
