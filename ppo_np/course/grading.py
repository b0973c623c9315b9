"""Grade the functions of one lesson: form, numbers, laws; `diagnosing` names the mistake where they are wrong."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ppo_np.checking.diagnosis import FLOOR, SAME
from ppo_np.course.contract import checked_result, close, exception_sentence, in_plain_words, named_arrays
from ppo_np.course.diagnosing import Diagnosing
from ppo_np.course.exercise import ContractError, Exercise, Functions, Point
from ppo_np.course.lesson import WORKED, Lesson, load

RIGHT, WRONG, BLANK, FAILED, SKIPPED = "right", "WRONG", "blank", "error", "not graded"


@dataclass
class Row:
    """One output at the point where it is most wrong, or at the last point if it is right everywhere."""

    output: str
    shape: str
    worst: str
    yours: float
    right: float
    error: float
    verdict: str


@dataclass
class Outcome:
    """What the grading of one function found.

    Attributes:
        state: RIGHT, WRONG, BLANK (not written yet), FAILED (it raised an exception) or SKIPPED.
        points, of: points of the exercise that are right, and all.
        rows: one for each output.
        diagnosis: sentences that name the mistake.
        mistake: the name of the catalogue's entry that was recognised, or "".
        messages: other sentences: broken laws, wrong shapes, the exception.
        kinds: how many rows of each kind (region, branch) are right, such as "3 of 5"; only how many there are, "5", if
            the outputs do not belong to rows.
    """

    function: str
    state: str = RIGHT
    points: int = 0
    of: int = 0
    rows: list[Row] = field(default_factory=list)
    diagnosis: list[str] = field(default_factory=list)
    mistake: str = ""
    messages: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def grade(lesson: Lesson, mine: Functions, seed: int, file: str = "") -> list[Outcome]:
    """Grade each function of a lesson.

    Args:
        lesson: which.
        mine: the learner's functions, with those of earlier lessons that they import.
        seed: of the points.
        file: the learner's file, whose line is named where an exception is raised.
    """
    reference = load(lesson.source, WORKED / f"{lesson.name}.py", [WORKED])
    outcomes: dict[str, Outcome] = {}
    for exercise in lesson.exercises:
        outcomes[exercise.function] = outcome = Outcome(exercise.function, of=_count(exercise))
        missing = [name for name in exercise.rests_on if outcomes[name].state != RIGHT]
        if missing:
            outcome.state = SKIPPED
            outcome.messages = [f"It is compared with differences of your {missing[0]}, which is not right yet."]
        elif not callable(getattr(mine, exercise.function, None)):
            outcome.state, outcome.messages = FAILED, [f"The file has no function {exercise.function}."]
        else:
            with np.errstate(all="ignore"):
                _grade(outcome, lesson, exercise, mine, reference, seed, file)
    return list(outcomes.values())


def ungraded(lesson: Lesson, state: str, sentence: str) -> list[Outcome]:
    """The outcomes of a file that cannot be graded: state and sentence stand at the first function."""
    outcomes = [Outcome(exercise.function, SKIPPED, of=_count(exercise)) for exercise in lesson.exercises]
    outcomes[0].state, outcomes[0].messages = state, [sentence]
    return outcomes


def _count(exercise: Exercise) -> int:
    """The number of points: the same for each seed."""
    return len(exercise.points(np.random.default_rng(0)))


def _grade(
    outcome: Outcome, lesson: Lesson, exercise: Exercise, mine: Functions, reference: Functions, seed: int, file: str
) -> None:
    """Grade one function."""
    points = exercise.points(points_rng(seed, lesson.name, exercise.function))
    rights: list[Any] = []
    results: list[Any] = []
    try:
        rights += [_right(exercise, mine, reference, point) for point in points]
        for point, right in zip(points, rights, strict=True):
            results.append(checked_result(exercise, getattr(mine, exercise.function), point, right))
    except NotImplementedError as error:
        outcome.state, outcome.messages = BLANK, [_blank_sentence(str(error), lesson, exercise)]
        return
    except ContractError as error:
        outcome.state, outcome.messages = WRONG, [f"{error} (at the point: {points[len(results)].label})"]
    except Exception as error:
        at = points[len(results) if len(rights) == len(points) else len(rights)]
        outcome.state, outcome.messages = FAILED, _about_exception(error, file, at)
    outcome.points = sum(_is_right(exercise, *pair) for pair in zip(results, rights, strict=False))
    outcome.kinds = _kinds(exercise, points, results, rights)
    outcome.rows = _rows(exercise, results, rights)
    outcome.messages += _broken_laws(exercise, points, results)
    if outcome.points < outcome.of or outcome.messages:
        outcome.state = outcome.state if outcome.state == FAILED else WRONG
        diagnosing = Diagnosing(lesson, exercise, mine, reference, points, rights)
        if len(results) < len(rights) or len(rights) < len(points):
            outcome.diagnosis, outcome.mistake = diagnosing.of_ending(results, outcome.messages[0])
        else:
            wrong = [row.output for row in outcome.rows if row.verdict == WRONG]
            outcome.diagnosis, outcome.mistake = diagnosing.of_outputs(results, wrong)


def _about_exception(error: Exception, file: str, at: Point) -> list[str]:
    """The exception with its line, what it means, and where it was raised."""
    sentence = exception_sentence(error, file)
    words = in_plain_words(sentence)
    return [sentence, *([words] if words else []), f"It was raised at the point: {at.label}."]


def points_rng(seed: int, lesson: str, function: str) -> np.random.Generator:
    """A generator of its own for each function, so that a new exercise does not change the points of the others."""
    digest = hashlib.sha256(f"{seed}/{lesson}/{function}".encode()).digest()
    return np.random.default_rng(list(digest))


def _right(exercise: Exercise, mine: Functions, reference: Functions, point: Point) -> Any:
    """What the function must return at this point."""
    if point.expected is not None:
        return point.expected
    if exercise.right:
        return exercise.right(mine, point)
    return exercise.result(getattr(reference, exercise.function), point)


def _blank_sentence(name: str, lesson: Lesson, exercise: Exercise) -> str:
    """Which function is not written yet: one of this lesson, or one of an earlier lesson."""
    if not name or any(name == own.function for own in lesson.exercises):
        return f"{name or exercise.function} is not written yet."
    return f"{name} of an earlier lesson is not written yet: write it first, or use --from-reference."


def _is_right(exercise: Exercise, result: Any, right: Any) -> bool:
    pairs = zip(named_arrays(result, exercise.outputs), named_arrays(right, exercise.outputs), strict=True)
    return all(close(yours, other, exercise.tolerance) for (_, yours), (_, other) in pairs)


def _kinds(
    exercise: Exercise, points: Sequence[Point], results: Sequence[Any], rights: Sequence[Any]
) -> dict[str, str]:
    """How many rows of each kind are right, and how many there are."""
    right_rows: dict[str, int] = {}
    all_rows: dict[str, int] = {}
    for point, result, right in zip(points, results, rights, strict=False) if exercise.groups else ():
        for name, rows in exercise.groups(point).items():  # type: ignore[misc]
            all_rows[name] = all_rows.get(name, 0) + int(np.sum(rows))
            good = _right_rows(exercise, result, right, np.shape(rows))
            if good is not None:
                right_rows[name] = right_rows.get(name, 0) + int(np.sum(rows & good))
    return {
        name: f"{right_rows[name]} of {all_rows[name]}" if name in right_rows else str(all_rows[name])
        for name in all_rows
    }


def _right_rows(exercise: Exercise, result: Any, right: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Booleans of this shape: the rows in which all outputs are right; None if an output does not belong to rows."""
    good = np.ones(shape, bool)
    pairs = zip(named_arrays(result, exercise.outputs), named_arrays(right, exercise.outputs), strict=True)
    for (_, yours), (_, other) in pairs:
        if other.shape[: len(shape)] != shape:
            return None
        near = np.isclose(yours, other, rtol=SAME, atol=FLOOR)
        good &= near.reshape(*shape, -1).all(axis=-1)
    return good


def _broken_laws(exercise: Exercise, points: Sequence[Point], results: Sequence[Any]) -> list[str]:
    """A sentence for each broken law, at the first point where it is broken."""

    def first(law: Callable[[Point, Any], str | None]) -> str | None:
        sentences = (law(point, result) for point, result in zip(points, results, strict=False))
        return next((sentence for sentence in sentences if sentence), None)

    return [sentence for law in exercise.laws if (sentence := first(law))]


def _rows(exercise: Exercise, results: Sequence[Any], rights: Sequence[Any]) -> list[Row]:
    """A row for each output: at its most wrong point, or at the last one."""
    rows: dict[str, Row] = {}
    for result, right in zip(results, rights, strict=False):
        pairs = zip(named_arrays(result, exercise.outputs), named_arrays(right, exercise.outputs), strict=True)
        for (name, yours), (_, other) in pairs:
            row, before = _row(name, yours, other, exercise.tolerance), rows.get(name)
            if before is None or before.verdict == RIGHT or (row.verdict == WRONG and row.error > before.error):
                rows[name] = row
    return list(rows.values())


def _row(name: str, yours: np.ndarray, right: np.ndarray, tolerance: float) -> Row:
    """The comparison of one output at one point."""
    verdict = RIGHT if close(yours, right, tolerance) else WRONG
    if right.size == 0:
        return Row(name, str(right.shape), "", 0.0, 0.0, 0.0, verdict)
    difference = np.abs(yours.astype(float) - right.astype(float))
    place = np.unravel_index(int(np.argmax(difference)), right.shape)
    scale = np.linalg.norm(yours) + np.linalg.norm(right)
    error = float(np.linalg.norm(difference) / scale) if scale else 0.0
    worst = str([int(i) for i in place]) if place else ""
    return Row(name, str(right.shape), worst, float(yours[place]), float(right[place]), error, verdict)
