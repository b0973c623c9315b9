"""The numbers that are worked by hand on the pages of lessons 1 to 5 and 17."""

import re
from pathlib import Path

import numpy as np
import pytest

from ppo_np.course.exercise import leaves
from ppo_np.course.lesson import lessons

DOCS = Path(__file__).parents[2] / "docs"
LESSONS = [lessons()[number] for number in (1, 2, 3, 4, 5, 17)]
of_each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


def page(lesson):
    return (DOCS / "course" / f"{lesson.name}.md").read_text(encoding="utf-8")


def part(lesson, heading):
    return page(lesson).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def written(value):
    """A number as the pages write it: at most three decimals, no zeros at the end."""
    return f"{round(float(value), 3) + 0.0:.3f}".rstrip("0").rstrip(".")


def hand_worked_numbers(lesson):
    """The numbers that the points worked by hand say are right."""
    for exercise in lesson.exercises:
        for point in exercise.points(np.random.default_rng(0)):
            if "by hand" in point.label:
                for _, array in leaves(point.expected, ""):
                    yield from (written(value) for value in np.ravel(array))


@of_each_lesson
def test_every_hand_worked_number_of_the_exercise_is_on_the_page(lesson):
    numbers = set(hand_worked_numbers(lesson))
    assert len(numbers) >= 2
    text = part(lesson, "By hand")
    missing = [number for number in numbers if not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)", text)]
    assert missing == []
