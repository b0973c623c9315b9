"""For teachers: marks from points that nobody can know before."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppo_np.course.checker import Result, check
from ppo_np.course.grading import RIGHT
from ppo_np.course.lesson import Lesson, lesson_of, lessons
from ppo_np.course.variant import variant_of
from ppo_np.errors import UserError


def hidden_seed(secret: str, student: str, lesson: str) -> int:
    """The seed of a student's points in a lesson: HMAC-SHA256 of student and lesson under the teacher's secret."""
    digest = hmac.new(secret.encode(), f"{student}\n{lesson}".encode(), "sha256").digest()
    return int.from_bytes(digest[:6], "big")


@dataclass(frozen=True)
class Mark:
    """The mark of one student in one lesson.

    Attributes:
        student: the name of the folder that was handed in.
        lesson: its name.
        points, of: points of the lesson that are right, and all of them; points are 0 without a file.
        remark: what is known of the first mistake, in one sentence; "" for a right file.
        result: of the grading; None without a file.
    """

    student: str
    lesson: str
    points: int
    of: int
    remark: str
    result: Result | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV: everything but the result."""
        return {name: getattr(self, name) for name in ("student", "lesson", "points", "of", "remark")}


def chosen_lessons(names: Sequence[str]) -> list[Lesson]:
    """The lessons of numbers, names, and files with EXERCISES; without names those of the main course."""
    if not names:
        return [lesson for lesson in lessons().values() if lesson.has_functions and not lesson.extra]
    return [variant_of(Path(name)) if name.endswith(".py") else lesson_of(name) for name in names]


def grade_submission(folder: Path, student: str, secret: str, graded: Sequence[Lesson]) -> list[Mark]:
    """The marks of one student. Each lesson counts for itself: earlier ones come from the reference.

    Args:
        folder: with the student's files.
        student: who it is.
        secret: the teacher's, not known to students: it chooses the points.
        graded: the lessons that count.
    """
    return [_mark(folder / f"{lesson.name}.py", student, secret, lesson) for lesson in graded]


def _mark(file: Path, student: str, secret: str, lesson: Lesson) -> Mark:
    of = sum(len(exercise.points(np.random.default_rng(0))) for exercise in lesson.exercises)
    if not file.is_file():
        return Mark(student, lesson.name, 0, of, f"There is no file {file.name}.", None)
    result = check(lesson, file, hidden_seed(secret, student, lesson.name), from_reference=True)
    points = sum(outcome.points for outcome in result.outcomes)
    return Mark(student, lesson.name, points, of, remark_of(result), result)


def remark_of(result: Result) -> str:
    """What is known of the first function that is not right."""
    for outcome in result.outcomes:
        if outcome.state != RIGHT:
            return f"{outcome.function}: {' '.join([*outcome.diagnosis, *outcome.messages][:1]) or outcome.state}"
    return ""


def submissions(folder: Path) -> list[Path]:
    """The students' folders in a folder. Raises UserError if there is none."""
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not found:
        raise UserError(f"SUBMISSIONS is {str(folder)!r}, but it must be a folder with a folder for each student.")
    return found
