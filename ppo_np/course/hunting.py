"""A bug hunt: a working function with one mistake of the catalogue in it, to be found from the report and repaired."""

import ast
import random
from pathlib import Path

from ppo_np.course.lesson import Lesson, Mistake


def hunt_file(folder: Path, lesson: Lesson) -> Path:
    """Where a hunt is laid out."""
    return folder / "hunts" / f"{lesson.name}.py"


def chosen(lesson: Lesson, seed: int) -> Mistake:
    """The mistake that a seed plants."""
    return random.Random(f"{seed}/{lesson.name}").choice(lesson.mistakes)


def hunt_source(lesson: Lesson, seed: int) -> str:
    """The worked functions without their docstrings' formulas, with one mistake in them."""
    mistake = chosen(lesson, seed)
    head = (
        f'"""Bug hunt of lesson {lesson.number}: one line is wrong. Find it from the report, and repair that line."""\n'
    )
    return head + _without_docstrings(lesson.with_mistake(mistake))


def _without_docstrings(source: str) -> str:
    """The text of a file without the docstrings of the module and of its functions."""
    lines = source.splitlines()
    tree = ast.parse(source)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Module)]
    texts = [node.body[0] for node in nodes if ast.get_docstring(node) is not None]
    for text in sorted(texts, key=lambda node: -node.lineno):
        del lines[text.lineno - 1 : text.end_lineno]
    return "\n".join(lines) + "\n"
