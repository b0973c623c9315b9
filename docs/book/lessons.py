"""Write the table of lessons in docs/course/index.md from the lessons' pages: `python -m docs.book.lessons`."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COURSE = ROOT / "docs" / "course"
WORKED = ROOT / "ppo_np" / "course" / "worked"
PLACE = re.compile(r"(<!-- lessons: .*? -->\n\n).*?(<!-- end -->)", re.DOTALL)


def row(page: Path, worked: Path = WORKED) -> str:
    """The row of one lesson: its number, its title with a link, and its question if the course has one.

    Args:
        page: docs/course/lessonNN_name.md, which begins with a heading.
        worked: the folder of the lessons' settings.

    Raises:
        ValueError: The page has no heading of level 1.
    """
    heading = re.search(r"^# (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    if heading is None:
        raise ValueError(f"{page.name} has no heading '# ...'")
    title = re.sub(r"^(Lesson )?\d+[.:]? *", "", heading[1])
    file = worked / f"{page.stem}.toml"
    settings = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    extra = " (extra)" if settings.get("extra") else ""
    return f"| {int(page.stem[6:8])} | [{title}]({page.name}){extra} | {settings.get('question', '')} |\n"


def table(course: Path = COURSE) -> str:
    """The table of all lessons that have a page, with a blank line after it; empty if none has."""
    pages = sorted(course.glob("lesson[0-9][0-9]_*.md"))
    if not pages:
        return ""
    return "| | lesson | question |\n|---:|---|---|\n" + "".join(row(page) for page in pages) + "\n"


def with_table(index: str) -> str:
    """The index page with its table written anew.

    Raises:
        ValueError: The page has no place for the table.
    """
    text, found = PLACE.subn(lambda match: match[1] + table() + match[2], index)
    if found != 1:
        raise ValueError(f"docs/course/index.md has {found} places for the table, not 1")
    return text


if __name__ == "__main__":
    index = COURSE / "index.md"
    index.write_text(with_table(index.read_text(encoding="utf-8")), encoding="utf-8")
