"""The learner's folder: one file a lesson. What the learner has written is never overwritten."""

import csv
import io
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ppo_np.course.contract import exception_sentence
from ppo_np.course.lesson import Lesson, lessons, load, written_functions
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
    files = [file_of(folder, lesson) for lesson in lessons().values() if lesson.has_functions]
    for lesson in lessons().values():
        if lesson.has_functions and not file_of(folder, lesson).exists():
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
        try:
            os.replace(file, kept)
        except OSError as error:
            raise UserError(f"{file} cannot be renamed: {os.strerror(error.errno or 0)}.") from None
    write(file, lesson.blank())
    return kept


def write_csv(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a table with a line of names. Raises UserError if that is not possible."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(file, text.getvalue())


def secret_of(file: Path) -> str:
    """The text of a teacher's file. Raises UserError if it cannot be read or is empty."""
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise UserError(f"secret_file is {str(file)!r}, but it must be a text file that can be read.") from None
    if not secret:
        raise UserError(f"secret_file is {str(file)!r}, but that file is empty; it must hold any text.")
    return secret


def learned_functions(folder: Path, skipped: Collection[int]) -> dict[str, Callable[..., Any]]:
    """The functions that the learner has written, by name, but for those of some lessons.

    Raises UserError if a file cannot be run.
    """
    functions: dict[str, Callable[..., Any]] = {}
    for lesson in lessons().values():
        file = file_of(folder, lesson)
        if lesson.number in skipped or not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8-sig")
            module = load(text, file.resolve(), [folder.resolve()])
        except Exception as error:
            raise UserError(exception_sentence(error, str(file.resolve()))) from None
        functions |= {
            exercise.function: getattr(module, exercise.function)
            for exercise in lesson.exercises
            if exercise.function in written_functions(text)
        }
    return functions
