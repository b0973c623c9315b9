"""Does every page of the built book fit screens of 400 and 1,400 pixels? `python -m docs.book.widths build/book`.

Each page is laid out by Chromium in a frame of that width. Nothing may be wider than the frame, except inside of
something that scrolls by itself, such as a wide table, a formula or a line of code. The pages of sources are left out.
"""

import json
import re
import sys
from pathlib import Path

from docs.book.browser import CHROMIUM, dump

WIDTHS = (400, 1400)
PAGE = """<!doctype html><body><script>
const scrolls = (element, body) => {
  for (let e = element; e !== body; e = e.parentElement) {
    if (["auto", "scroll"].includes(getComputedStyle(e).overflowX)) return true;
  }
  return false;
};
async function look(pages, widths) {
  const found = [];
  for (const width of widths) for (const page of pages) {
    const frame = document.createElement("iframe");
    frame.style = `width: ${width}px; height: 900px; border: 0`;
    const loaded = new Promise((done) => { frame.onload = done; });
    frame.src = page;
    document.body.append(frame);
    await loaded;
    const { documentElement: root, body } = frame.contentDocument;
    const wide = [...body.querySelectorAll("article *, body > main *")].filter(
      (e) => !e.ownerSVGElement && e.getBoundingClientRect().right > width + 1 && !scrolls(e, body));
    if (root.scrollWidth > width || wide.length) {
      found.push([page, width, root.scrollWidth, wide.length ? wide[0].textContent.trim().slice(0, 40) : ""]);
    }
    frame.remove();
  }
  document.body.textContent = "found" + JSON.stringify(found);
}
look(%s, %s);
</script>"""


def too_wide(book: Path) -> list[str]:
    """One sentence for each page and width with something that does not fit.

    Args:
        book: the folder of the built site; a page is written into it for a moment.
    """
    names = sorted(path.relative_to(book).as_posix() for path in book.rglob("*.html"))
    names = [name for name in names if not name.startswith(("source/", "_"))]
    page = book / "_widths.html"
    page.write_text(PAGE % (json.dumps(names), json.dumps(WIDTHS)), encoding="utf-8")
    try:
        html = dump(page, "", "--window-size=1500,1000", "--virtual-time-budget=600000")
    finally:
        page.unlink()
    found = json.loads(re.search(r"found(\[.*\])</body>", html, re.DOTALL)[1])
    return [
        f"{name} at {width} pixels is {scroll} wide" + (f"; too wide is {text!r}" if text else "")
        for name, width, scroll, text in found
    ]


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit("There is no chromium.")
    lines = too_wide(Path(sys.argv[1]).resolve())
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines))
