"""The pages of lessons 1 to 5 and 17: their parts, their pictures, and the numbers that are worked by hand on them."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from ppo_np.course.exercise import leaves
from ppo_np.course.lesson import lessons

DOCS = Path(__file__).parents[2] / "docs"
LESSONS = [lessons()[number] for number in (1, 2, 3, 4, 5, 17)]
PARTS = ["The question", "The derivation", "By hand", "Your turn", "What breaks", "In the product", "Further reading"]
of_each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


def page(lesson):
    return (DOCS / "course" / f"{lesson.name}.md").read_text(encoding="utf-8")


def part(lesson, heading):
    return page(lesson).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def figure(lesson):
    spec = importlib.util.spec_from_file_location(lesson.name, DOCS / "figures" / f"{lesson.name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
def test_a_page_has_its_parts_in_order(lesson):
    text = page(lesson)
    assert text.startswith(f"# Lesson {lesson.number}: {lesson.title}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS
    assert lesson.question.rstrip("?") in text
    assert f"`python -m ppo_np.course check {lesson.number}`" in part(lesson, "Your turn")
    assert all(f"`{exercise.function}" in text for exercise in lesson.exercises)


@of_each_lesson
def test_every_hand_worked_number_of_the_exercise_is_on_the_page(lesson):
    numbers = set(hand_worked_numbers(lesson))
    assert len(numbers) >= 2
    text = part(lesson, "By hand")
    missing = [number for number in numbers if not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d]|\.\d)", text)]
    assert missing == []


@of_each_lesson
def test_the_picture_is_small_has_a_text_alternative_and_the_numbers_of_its_script(lesson):
    ((alternative, target),) = re.findall(r"!\[(.*)\]\((.*)\)", page(lesson))
    assert len(alternative) > 30
    assert target == f"images/{lesson.name}.png"
    assert (DOCS / "course" / target).stat().st_size < 60_000
    module = figure(lesson)
    for row in (module.HEAD, *module.numbers()):
        assert f"| {' | '.join(row)} |\n" in page(lesson)
    assert f"`python docs/figures/{lesson.name}.py`" in page(lesson)


@of_each_lesson
def test_no_link_dangles(lesson):
    targets = re.findall(r"\]\((?!https?:)([^)]+)", page(lesson))
    assert len(targets) >= 3
    for target in targets:
        file, _, anchor = target.partition("#")
        linked = DOCS / "course" / file
        assert linked.exists(), target
        headings = re.findall(r"^## (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert not anchor or anchor in anchors, target
