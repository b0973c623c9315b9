"""The learner's files that the tests grade: blanks, worked files, variants, and all of these with a mistake in them."""

from functools import cache
from pathlib import Path

from ppo_np.course.grading import grade
from ppo_np.course.lesson import WORKED, lessons, load

VARIANTS = Path(__file__).parent / "variants"
ALL = list(lessons().values())
LESSONS = [lesson for lesson in ALL if lesson.has_functions]
MISTAKES = [(lesson, mistake) for lesson in LESSONS for mistake in lesson.mistakes]


def variants(lesson):
    """Files with the functions of a lesson, written differently."""
    return sorted((VARIANTS / lesson.name).glob("*.py"))


def functions_of(*paths):
    """The functions that learners write, by name, from one file of each lesson."""
    modules = [(lesson, load(path.read_text(), path, [WORKED])) for lesson, path in zip(LESSONS, paths, strict=True)]
    return {task.function: getattr(module, task.function) for lesson, module in modules for task in lesson.exercises}


WORKED_FUNCTIONS = functions_of(*(WORKED / f"{lesson.name}.py" for lesson in LESSONS))
# Written with other formulas and in another order. Lesson 6: without the identity that the probabilities sum to 1,
# which rounded ones do not keep. Lesson 19: minibatches in the package's order.
REWRITTEN = functions_of(
    *(VARIANTS / lesson.name / ("other.py" if lesson.number in (6, 19) else "einsum.py") for lesson in LESSONS)
)


@cache
def planted_in_variants():
    """(lesson, mistake's name, source) for each entry of PLANT in a variant: name -> (old text, new text)."""
    found = []
    for lesson in LESSONS:
        for path in variants(lesson):
            source = path.read_text()
            plant = getattr(load(source, path, [WORKED]), "PLANT", {})
            body, _, _ = source.partition("\nPLANT = ")
            for name, (old, new) in plant.items():
                assert body.count(old) == 1, (path, name, old)
                found.append((lesson, name, path, body.replace(old, new)))
    return found


def graded(lesson, source, seed=1, name="mine.py"):
    """The outcomes of a file with this text; earlier lessons come from the worked files."""
    return grade(lesson, load(source, name, [WORKED]), seed, name)


def failed(outcomes):
    return [outcome for outcome in outcomes if outcome.state != "right"]
