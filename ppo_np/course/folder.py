"""The learner's folder: one file a lesson. What the learner has written is never overwritten."""

import os
from pathlib import Path

from ppo_np.course.lesson import Lesson, lessons
from ppo_np.errors import UserError


def file_of(folder: Path, lesson: Lesson) -> Path:
    """The learner's file of a lesson."""
    return folder / f"{lesson.name}.py"


def lay_out(folder: Path) -> list[Path]:
    """Write the blanks of all lessons; a file that is there stays as it is. Returns the files of all lessons.

    Raises UserError if the folder cannot be made or written.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"DIR is {str(folder)!r}, but that is a file; it must be a folder or a new name.")
    files = [file_of(folder, lesson) for lesson in lessons().values() if lesson.exercises]
    for lesson in lessons().values():
        if lesson.exercises and not file_of(folder, lesson).exists():
            write(file_of(folder, lesson), lesson.blank())
    return files


def write(file: Path, text: str) -> None:
    """Write a file and its folder. Raises UserError if that is not possible."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {os.strerror(error.errno or 0)}.") from None


def checked(folder: Path) -> Path:
    """The folder. Raises UserError unless it has files of lessons."""
    if not any(file_of(folder, lesson).is_file() for lesson in lessons().values()):
        where = f"DIR is {str(folder)!r}" if str(folder) != "." else "This folder has no lessons"
        allowed = ", but it must be a folder with lessons" if str(folder) != "." else ""
        raise UserError(
            f"{where}{allowed}: make one with `python -m ppo_np.course start my_course`, then cd my_course."
        )
    return folder


def existing_file(folder: Path, lesson: Lesson) -> Path:
    """The learner's file of a lesson. Raises UserError if it is not there."""
    file = file_of(folder, lesson)
    if not file.is_file():
        raise UserError(f"{file} is not there: `python -m ppo_np.course reset {lesson.number}` writes its blank.")
    return file


def reset(folder: Path, lesson: Lesson) -> Path | None:
    """Put the blank back; returns where the learner's file is kept, None if there was none or it was the blank.

    Raises UserError if that is not possible.
    """
    file, kept = file_of(folder, lesson), None
    if file.is_file() and file.read_text(encoding="utf-8", errors="replace") != lesson.blank():
        kept = file.with_suffix(".py.bak")
        number = 1
        while kept.exists():
            number += 1
            kept = file.with_suffix(f".py.bak{number}")
        os.replace(file, kept)
    write(file, lesson.blank())
    return kept
