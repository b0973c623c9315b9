"""The lessons: their texts, the blanks that learners fill in, and the worked functions with or without a mistake."""

import ast
import importlib
import sys
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ppo_np.course.exercise import Exercise
from ppo_np.errors import UserError

WORKED = Path(__file__).parent / "worked"
BLANK = "raise NotImplementedError"


@dataclass(frozen=True)
class Mistake:
    """A known mistake: one line of a worked function, changed.

    Attributes:
        name: as in the catalogue of planted bugs, if it is there.
        function: in which it is.
        old, new: text that occurs once in the worked file, and what replaces it.
        says: the mistake in one sentence, for the learner who has made it.
    """

    name: str
    function: str
    old: str
    new: str
    says: str


@dataclass(frozen=True)
class Lesson:
    """A lesson of the course.

    Attributes:
        name: of its file without the ending, such as lesson03_linear.
    """

    name: str

    @property
    def key(self) -> str:
        """The name: by it another process finds the lesson."""
        return self.name

    @property
    def number(self) -> int:
        """3 for lesson03_linear."""
        return int(self.name[6:8])

    @property
    def has_functions(self) -> bool:
        """Whether the learner writes functions in this lesson."""
        return (WORKED / f"{self.name}.py").is_file()

    @cached_property
    def _text(self) -> dict[str, Any]:
        return tomllib.loads((WORKED / f"{self.name}.toml").read_text(encoding="utf-8"))

    @property
    def title(self) -> str:
        """A few words."""
        return self._text["title"]

    @property
    def question(self) -> str:
        """The question that the lesson answers."""
        return self._text["question"]

    @property
    def needs(self) -> list[int]:
        """Numbers of the lessons whose functions or ideas this one uses."""
        return self._text["needs"]

    @property
    def extra(self) -> bool:
        """Whether the lesson stands beside the main course, which ends with the training of lesson 20."""
        return self._text.get("extra", False)

    @property
    def hints(self) -> list[str]:
        """From a question to the formula."""
        return self._text["hints"]

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The mistakes that the diagnosis knows and that hunts are made of."""
        return [Mistake(**entry) for entry in self._text.get("mistake", [])]

    @cached_property
    def source(self) -> str:
        """The worked functions; "" for lesson 20, which has none of its own."""
        return "" if not self.has_functions else (WORKED / f"{self.name}.py").read_text(encoding="utf-8")

    @cached_property
    def exercises(self) -> list[Exercise]:
        """What the learner writes, in the order in which it is graded; empty for lesson 20."""
        return (
            [] if not self.has_functions else importlib.import_module(f"ppo_np.course.exercises.{self.name}").EXERCISES
        )

    def blank(self) -> str:
        """The worked file with the bodies of the functions removed; imports, constants and docstrings stay."""
        lines = self.source.splitlines()
        functions = [node for node in ast.parse(self.source).body if isinstance(node, ast.FunctionDef)]
        for node in reversed(functions):
            first = node.body[1] if ast.get_docstring(node) else node.body[0]
            lines[first.lineno - 1 : node.end_lineno] = [f'    {BLANK}("{node.name}")']
        without_private = _without_private(lines)
        return "\n".join(without_private) + "\n"

    def with_mistake(self, mistake: Mistake) -> str:
        """The worked file with one mistake in it."""
        if self.source.count(mistake.old) != 1:
            raise ValueError(
                f"{self.name}: {mistake.name}: {mistake.old!r} occurs {self.source.count(mistake.old)} times"
            )
        return self.source.replace(mistake.old, mistake.new)


def _without_private(lines: list[str]) -> list[str]:
    """The lines of a file without its private functions, which are part of the solution."""
    kept = lines.copy()
    for node in reversed(ast.parse("\n".join(lines)).body):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_"):
            del kept[node.lineno - 1 : node.end_lineno]
    text = "\n".join(kept).rstrip()
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    return text.splitlines()


@cache
def lessons() -> dict[int, Lesson]:
    """All lessons by number."""
    found = [Lesson(path.stem) for path in sorted(WORKED.glob("lesson*.toml"))]
    return {lesson.number: lesson for lesson in found}


def lesson_of(text: str) -> Lesson:
    """The lesson of a number, a name or a file: "3", "03", "lesson03_linear", "linear", "my/lesson03_linear.py".

    Raises UserError for anything else.
    """
    stem = Path(text).stem
    for lesson in lessons().values():
        if stem in (lesson.name, lesson.name[9:], str(lesson.number), f"{lesson.number:02}"):
            return lesson
    last = max(lessons())
    raise UserError(f"LESSON is {text!r}, but it must be a number from 1 to {last} or a name such as lesson03_linear.")


def load(source: str, file: Path | str, folders: list[Path]) -> SimpleNamespace:
    """Run the text of a lesson's file; earlier lessons that it imports are looked for in these folders.

    Returns the file's own functions and those that it has imported, by name. `file` is the name in tracebacks.
    """
    return _with_earlier(folders, lambda: _run(source, file))


def _run(source: str, file: Path | str) -> SimpleNamespace:
    names: dict[str, Any] = {"__name__": Path(file).stem, "__file__": str(file)}
    exec(compile(source, str(file), "exec"), names)
    return SimpleNamespace(**{name: value for name, value in names.items() if not name.startswith("__")})


def _with_earlier(folders: list[Path], action: Any) -> Any:
    """Do something while `import lessonNN_...` finds the files in these folders; forget these modules afterwards."""
    before = sys.path.copy()
    _forget()
    sys.path[:0] = map(str, folders)
    importlib.invalidate_caches()
    try:
        return action()
    finally:
        sys.path[:] = before
        _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.startswith("lesson") and name[6:8].isdigit()]:
        del sys.modules[name]


def written_functions(text: str) -> set[str]:
    """Names of the functions in a file that are not blanks any more."""
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {node.name for node in functions if BLANK not in (ast.get_source_segment(text, node) or "")}
