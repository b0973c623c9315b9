"""Name the mistake in a learner's function: the catalogue of the lesson, the terms of its formula, simple changes."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ppo_np.checking.diagnosis import Arrays, Term, changed, explained_by_terms, matching, same, where_wrong
from ppo_np.course.contract import checked_result, named_arrays
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
        """The mistake of the catalogue that ends at the same point, with the same sentence; as `of_outputs`."""
        for mistake in self.mistakes:
            made, ending = self.with_mistake(mistake)
            alike = len(made) == len(results) and all(
                same(self.arrays(one), self.arrays(two)) for one, two in zip(made, results, strict=True)
            )
            if ending and sentence.startswith(ending) and alike:
                return [mistake.says], mistake.name
        return [], ""

    def of_outputs(self, results: Sequence[Any], wrong: Sequence[str]) -> tuple[list[str], str]:
        """(sentences, the name of the catalogue's entry or "") for the outputs that are wrong."""
        candidates = self.candidates()
        for mistake in self.mistakes:  # that gives all the numbers of the learner
            made = candidates.get(mistake.name, [])
            if made and all(same(self.arrays(one), self.arrays(two)) for one, two in zip(made, results, strict=True)):
                return [mistake.says], mistake.name
        sentences: list[str] = []
        known = ""
        for output in wrong:
            yours, right = self.of(output, results), self.of(output, self.rights)
            name = matching(yours, right, {key: self.of(output, made) for key, made in candidates.items()})
            says: str | None
            if name:
                says, known = next(mistake.says for mistake in self.mistakes if mistake.name == name), name
            else:
                says = self.guess(yours, right, output)
            if says and says not in sentences:
                sentences.append(says)
        return sentences or self.independence(), known

    def guess(self, yours: Arrays, right: Arrays, output: str) -> str | None:
        """A sentence from the numbers of one output alone."""
        says = explained_by_terms(yours, right, self.terms(output)) or changed(yours, right, self.row_counts(output))
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
            return results, type(error).__name__
        return results, ""

    def named(self, result: Any) -> dict[str, np.ndarray]:
        """The arrays of a result by name."""
        return dict(named_arrays(result, self.exercise.outputs))

    def arrays(self, result: Any) -> list[np.ndarray]:
        """The arrays of a result."""
        return list(self.named(result).values())

    def independence(self) -> list[str]:
        """The arguments on which the result does not depend although it must, or depends although it must not."""
        sentences = []
        for name in self.exercise.arguments:
            depends = [self.depends(functions, name) for functions in (self.mine, self.reference)]
            if depends == [False, True]:
                sentences.append(f"Your result does not depend on {name}, but it must.")
            elif depends == [True, False]:
                sentences.append(f"Your result depends on {name}, but it must not.")
        return sentences

    def depends(self, functions: Functions, name: str) -> bool | None:
        """Whether a function's result changes with one of its arguments; None if that cannot be tried."""
        point = self.points[-1]
        value = getattr(point, name)
        if not (isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size):
            return None
        moved = Point(**{**vars(point), name: value + 1e-3 * np.linspace(0.5, 1, value.size).reshape(value.shape)})
        function = getattr(functions, self.exercise.function)
        try:
            before, after = (self.arrays(self.exercise.result(function, at)) for at in (point, moved))
        except Exception:
            return None
        return any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@cache
def _planted(lesson: Lesson, mistake: Mistake) -> Functions:
    """The worked functions with a mistake in them."""
    return load(lesson.with_mistake(mistake), WORKED / f"{lesson.name}.py", [WORKED])
