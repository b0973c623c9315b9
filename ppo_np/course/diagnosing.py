"""Name the mistake in a learner's function: the catalogue of the lesson, the terms of its formula, simple changes."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ppo_np.checking.diagnosis import (
    FLOOR,
    SAME,
    Arrays,
    Term,
    changed,
    explained_by_terms,
    matching,
    same,
    where_wrong,
)
from ppo_np.course.contract import checked_result, exception_text, named_arrays
from ppo_np.course.exercise import ContractError, Exercise, Functions, Point
from ppo_np.course.lesson import WORKED, Lesson, Mistake, load


class Diagnosing:
    """What can be said about a wrong function.

    Args:
        lesson, exercise: which.
        mine, reference: the learner's functions, the worked ones.
        points, rights: where it was called, and what is right there.
    """

    def __init__(
        self, lesson: Lesson, exercise: Exercise, mine: Functions, reference: Functions, points: Sequence[Point],
        rights: Sequence[Any],
    ):  # fmt: skip
        self.lesson, self.exercise, self.mine, self.reference = lesson, exercise, mine, reference
        self.mistakes = [mistake for mistake in lesson.mistakes if mistake.function == exercise.function]
        self.points, self.rights = points, rights

    def of_ending(self, results: Sequence[Any], sentence: str) -> tuple[list[str], str]:
        """The mistake of the catalogue that ends at the same point in the same way; as `of_outputs`.

        The results before that point must be the same. An exception of the same type is not enough if they say nothing,
        because all are right or there are none: then its text must be the same, too.
        """
        telling = not all(self.same_result(*pair) for pair in zip(results, self.rights, strict=False))
        for mistake in self.mistakes:
            made, ending = self.with_mistake(mistake)
            alike = len(made) == len(results) and all(map(self.same_result, made, results))
            same_type = telling and ending.partition(":")[0] == sentence.partition(":")[0]
            if ending and alike and (same_type or sentence.startswith(ending)):
                return [mistake.says], mistake.name
        return [], ""

    def of_outputs(self, results: Sequence[Any], wrong: Sequence[str]) -> tuple[list[str], str]:
        """(sentences, the name of the catalogue's entry or "") for the outputs that are wrong."""
        candidates = self.candidates()
        for mistake in self.mistakes:  # that gives all the numbers of the learner
            made = candidates.get(mistake.name, [])
            if made and all(map(self.same_result, made, results)):
                return [mistake.says], mistake.name
        sentences: list[str] = []
        known = ""
        for output in wrong:
            yours, right = self.of(output, results), self.of(output, self.rights)
            possible = {key: made for key, made in candidates.items() if self.plausible(made, results, output)}
            name = matching(yours, right, {key: self.of(output, made) for key, made in possible.items()})
            says: str | None
            if name:
                says, known = next(mistake.says for mistake in self.mistakes if mistake.name == name), name
            else:
                says = self.guess(yours, right, output)
            if says and says not in sentences:
                sentences.append(says)
        return sentences or self.independence(), known

    def plausible(self, made: Sequence[Any], results: Sequence[Any], output: str) -> bool:
        """Whether a mistake that gives the learner's numbers of one output may be one of several mistakes.

        All that it makes wrong must be wrong in the learner's results, too. If the output has less than three wrong
        numbers, which may be the same by chance, it must be wrong in the same way.
        """
        few = sum(map(_count_wrong, self.of(output, results), self.of(output, self.rights))) < 3
        for one, right, yours in zip(made, self.rights, results, strict=True):
            for a, b, c in zip(self.arrays(one), self.arrays(right), self.arrays(yours), strict=True):
                if not same([a], [b]) and (same([b], [c]) or (few and not same([a], [c]))):
                    return False
        return True

    def guess(self, yours: Arrays, right: Arrays, output: str) -> str | None:
        """A sentence from the numbers of one output alone."""
        says = None
        if not any(map(np.any, yours)) and any(map(np.any, right)):
            says = "it is 0 everywhere: nothing was computed, or everything was cut off"
        elif right[0].dtype.kind == "f":  # a factor or a sign of an index or of a boolean means nothing
            says = explained_by_terms(yours, right, self.terms(output)) or changed(
                yours, right, self.row_counts(output)
            )
        if says is None and self.exercise.groups:
            says = where_wrong(yours, right, [self.exercise.groups(point) for point in self.points_with(output)])
        return f"{output}: {says}." if says else None

    def terms(self, output: str) -> list[Term]:
        """The named terms of an output at all points."""
        if not self.exercise.terms:
            return []
        given: list[Mapping[str, tuple[np.ndarray, float]]]
        given = [self.exercise.terms(point).get(output, {}) for point in self.points_with(output)]
        names = [name for name in given[0] if all(name in of_point for of_point in given)]
        return [Term(name, [of_point[name][0] for of_point in given], given[0][name][1]) for name in names]

    def row_counts(self, output: str) -> list[int]:
        """B at each point: the length of the first array among the arguments."""
        counts = []
        for point in self.points_with(output):
            values = [getattr(point, name) for name in self.exercise.arguments]
            arrays = [value for value in values if isinstance(value, np.ndarray) and value.ndim]
            counts.append(len(arrays[0]) if arrays else 1)
        return counts

    def of(self, output: str, results: Sequence[Any]) -> list[np.ndarray]:
        """An output's array at each point that has it: nested results differ from point to point."""
        return [named[output] for named in map(self.named, results) if output in named]

    def points_with(self, output: str) -> list[Point]:
        """The points that have an output."""
        return [point for point, right in zip(self.points, self.rights, strict=True) if output in self.named(right)]

    def candidates(self) -> dict[str, list[Any]]:
        """What each mistake of the catalogue would have given: its results at all points."""
        found = {}
        for mistake in self.mistakes:
            results, ending = self.with_mistake(mistake)
            if not ending:
                found[mistake.name] = results
        return found

    def with_mistake(self, mistake: Mistake) -> tuple[list[Any], str]:
        """(results at the points, the sentence that ended it or "") of the worked function with a mistake in it."""
        function = getattr(_planted(self.lesson, mistake), self.exercise.function)
        results: list[Any] = []
        try:
            for point, right in zip(self.points, self.rights, strict=False):
                results.append(checked_result(self.exercise, function, point, right))
        except ContractError as error:
            return results, str(error)
        except Exception as error:
            return results, exception_text(error)
        return results, ""

    def named(self, result: Any) -> dict[str, np.ndarray]:
        """The arrays of a result by name."""
        return dict(named_arrays(result, self.exercise.outputs))

    def arrays(self, result: Any) -> list[np.ndarray]:
        """The arrays of a result."""
        return list(self.named(result).values())

    def same_result(self, one: Any, two: Any) -> bool:
        """Whether two results have the same numbers in all outputs."""
        return same(self.arrays(one), self.arrays(two))

    def independence(self) -> list[str]:
        """The arguments on which the result does not depend at any point although it must at one of them."""
        sentences = []
        kinds = {name: array.dtype.kind for name, array in self.named(self.rights[0]).items()}
        reals = [name for name, kind in kinds.items() if kind == "f"]
        subject = "Your result" if len(reals) == len(kinds) else f"Your {', '.join(reals)}"
        for name in self.exercise.arguments:
            moved = [(point, at) for point in self.points if (at := moved_point(point, name))]
            needed = [pair for pair in moved if self.depends(self.reference, *pair)]
            if needed and all(self.depends(self.mine, *pair) is False for pair in moved):
                sentences.append(f"{subject} does not depend on {name}, but it must.")
        return sentences

    def depends(self, functions: Functions, point: Point, moved: Point) -> bool | None:
        """Whether the outputs of a function that are real numbers differ at two points; None if it fails there."""
        function = getattr(functions, self.exercise.function)
        try:
            before, after = (self.arrays(self.exercise.result(function, at)) for at in (point, moved))
        except Exception:
            return None
        pairs = [(a, b) for a, b in zip(before, after, strict=True) if a.dtype.kind == "f"]
        return any(not np.array_equal(a, b) for a, b in pairs)


def _count_wrong(yours: np.ndarray, right: np.ndarray) -> int:
    return int(np.sum(~np.isclose(yours, right, rtol=SAME, atol=FLOOR, equal_nan=True)))


def moved_point(point: Point, name: str) -> Point | None:
    """The point with all numbers of one argument changed a little; None if these are not real numbers."""
    value = getattr(point, name)
    if not (isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size):
        return None
    change = 1e-3 * np.linspace(0.5, 1, value.size).reshape(value.shape)
    return Point(**{**vars(point), name: value + change})


@cache
def _planted(lesson: Lesson, mistake: Mistake) -> Functions:
    """The worked functions with a mistake in them."""
    return load(lesson.with_mistake(mistake), WORKED / f"{lesson.name}.py", [WORKED])
