"""The pages of the lessons: in docs/course of a clone, or a copy in the installed package."""

from pathlib import Path

from ppo_np.course.lesson import Lesson
from ppo_np.errors import UserError

PLACES = (Path(__file__).parents[2] / "docs" / "course", Path(__file__).parent / "pages")


def page_of(lesson: Lesson) -> Path:
    """The Markdown file. Raises UserError if it is not there."""
    for folder in PLACES:
        page = folder / f"{lesson.name}.md"
        if page.is_file():
            return page
    raise UserError(f"The page of lesson {lesson.number} is not on this machine.")
