"""A teacher's own lesson, which is nowhere in this project: one Python file with exercises and a forward pass."""

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from ppo_np.course.exercise import Exercise
from ppo_np.course.lesson import Lesson, Mistake
from ppo_np.errors import UserError


@dataclass(frozen=True)
class Variant(Lesson):
    """A lesson from a Python file with `EXERCISES`, and with the forward pass that they differentiate.

    The right backward pass need not exist anywhere: `right` takes differences of the forward pass. Students hand in a
    file of the same name with the functions that the exercises name.

    Attributes:
        name: of the file without the ending.
        path: of the file.
    """

    path: Path = Path()

    @property
    def key(self) -> str:
        """The path: by it another process finds the lesson."""
        return str(self.path)

    @property
    def number(self) -> int:
        """0: it has no place in the course."""
        return 0

    @property
    def title(self) -> str:
        """The first line of the file's docstring."""
        return (self._module.__doc__ or self.name).strip().splitlines()[0]

    @property
    def question(self) -> str:
        """The same for all."""
        return "What is the derivative?"

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """None: the diagnosis has the terms of the exercises and simple changes only."""
        return []

    @cached_property
    def source(self) -> str:
        """The text of the file."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def exercises(self) -> list[Exercise]:
        """`EXERCISES` of the file."""
        return self._module.EXERCISES

    @cached_property
    def _module(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def variant_of(path: Path) -> Variant:
    """The lesson in a teacher's file. Raises UserError if it has no exercises."""
    if not path.is_file():
        raise UserError(f"variant is {str(path)!r}, but it must be a Python file with EXERCISES.")
    variant = Variant(path.stem, path.resolve())
    try:
        exercises = variant.exercises
    except Exception as error:
        raise UserError(f"{path} cannot be used as a lesson: {type(error).__name__}: {error}.") from None
    if not (isinstance(exercises, list) and exercises and all(isinstance(one, Exercise) for one in exercises)):
        raise UserError(f"{path} cannot be used as a lesson: EXERCISES must be a list of Exercise.")
    return variant


def lesson_by_key(key: str) -> Lesson:
    """The lesson with this `key`."""
    return Variant(Path(key).stem, Path(key)) if key.endswith(".py") else Lesson(key)
