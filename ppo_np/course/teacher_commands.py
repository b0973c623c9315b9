"""The commands for teachers: `grade` and `export`."""

from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ppo_np.course import folder as own
from ppo_np.course import gradescope, teaching
from ppo_np.course.report import print_marks
from ppo_np.running import cli
from ppo_np.running.output import make_console


def grade(
    submissions: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SUBMISSIONS")],
    secret_file: Path, lessons: tuple[str, ...] = (), csv: Path | None = None, json: bool = False,
) -> int:  # fmt: skip
    """For teachers: marks of all students, from points that the secret chooses. One folder for each student.

    Args:
        submissions: A folder with a folder for each student.
        secret_file: A file with any text that students do not know.
        lessons: Numbers, names, or Python files with EXERCISES of your own (default: lessons 1 to 19).
        csv: Write the marks into this file.
        json: Print one JSON object.
    """
    secret, graded = own.secret_of(secret_file), teaching.chosen_lessons(lessons)
    marks = []
    for folder in teaching.submissions(submissions):
        marks += teaching.grade_submission(folder, folder.name, secret, graded)
    if csv:
        own.write_csv(csv, [mark.as_dict() for mark in marks])
    if json:
        print(dumps([mark.as_dict() for mark in marks]))
    else:
        print_marks(make_console(), marks)
    return cli.DONE


def export(
    target: Annotated[Literal["gradescope"], tyro.conf.Positional],
    path: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT.zip")],
    secret_file: Path, lessons: tuple[str, ...] = (),
) -> int:  # fmt: skip
    """For teachers: write an autograder.

    Args:
        target: For which service.
        path: The zip file to upload.
        secret_file: A file with any text that students do not know: it chooses the hidden points.
        lessons: Numbers, names, or Python files with EXERCISES of your own (default: lessons 1 to 19).
    """
    names = gradescope.export(path, own.secret_of(secret_file), lessons)
    make_console().print(f"{path} grades {len(names)} lessons.")
    return cli.DONE
