"""Build the book as a site: `python -m docs.book.build [--out build/book]`; then open build/book/index.html.

It needs the extra `docs` (`pip install ".[docs]"`) and no network. Every warning is an error: a broken link or anchor,
a missing picture, a formula that cannot be converted. The exit code is 1 then.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from docs.book.offline import problems

ROOT = Path(__file__).resolve().parents[2]


def build(out: Path) -> int:
    """Build the site into a folder, which is made anew. Returns 0 if nothing was wrong, 1 otherwise.

    Args:
        out: the folder; only an empty folder or an earlier book is replaced.

    Raises:
        SystemExit: Sphinx is not installed, or the folder holds something else.
    """
    try:
        from sphinx.cmd.build import main as sphinx
    except ImportError:
        sys.exit('The book needs the extra docs: pip install ".[docs]"')
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        sys.exit(f"--out {out}: holds something else than a book. Choose an empty or new folder.")
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as doctrees:
        arguments = ["-b", "html", "-c", str(ROOT / "docs" / "book"), "-d", doctrees, "-E", "-q", "-n", "-W"]
        failed = sphinx([*arguments, "--keep-going", str(ROOT / "docs"), str(out)])
    found = problems(out)
    print(*found, sep="\n", end="\n" if found else "")
    if failed or found:
        return 1
    print(f"{len(list(out.rglob('*.html')))} pages: {out / 'index.html'}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "book", help="folder for the site")
    sys.exit(build(parser.parse_args().out))
