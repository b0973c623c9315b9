"""The pages of lessons 1 to 19, 21 and 22: parts, pictures, links. Their numbers are in the `test_by_hand` files."""

import importlib.util
import re

import pytest

from ppo_np.course.lesson import lessons
from ppo_np.course.page import page_of

LESSONS = [lesson for lesson in lessons().values() if lesson.has_functions]
PARTS = ["The question", "The derivation", "By hand", "Your turn", "What breaks", "In the product", "Further reading"]
of_each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


def text_of(lesson):
    return page_of(lesson).read_text(encoding="utf-8")


@of_each_lesson
def test_a_page_has_its_parts_in_order(lesson):
    text = text_of(lesson)
    headings = re.findall(r"^#+ .+$", text, re.MULTILINE)
    assert headings == [f"# Lesson {lesson.number}: {lesson.title}", *(f"## {part}" for part in PARTS)]
    assert lesson.question.rstrip("?") in text
    turn = text.partition("\n## Your turn\n")[2].partition("\n## ")[0]
    assert f"python -m ppo_np.course check {lesson.number}" in turn
    for exercise in lesson.exercises:
        assert f"`{exercise.function}" in text or "four functions" in text


@of_each_lesson
def test_the_picture_is_small_is_told_in_words_and_has_the_numbers_of_its_script(lesson):
    pytest.importorskip("matplotlib")
    ((words, image),) = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", text_of(lesson))
    assert image == f"images/{lesson.name}.png"
    assert len(words) > 30
    assert (page_of(lesson).parent / image).stat().st_size < 60_000
    path = page_of(lesson).parents[1] / "figures" / f"{lesson.name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for row in (script.HEAD, *script.numbers()):
        assert f"| {' | '.join(row)} |\n" in text_of(lesson)
    assert f"`python docs/figures/{lesson.name}.py`" in text_of(lesson)


@of_each_lesson
def test_no_link_dangles(lesson):
    targets = re.findall(r"\]\((?!https?:)([^)]+)\)", text_of(lesson))
    assert len(targets) >= 2
    for target in targets:
        file, _, anchor = target.partition("#")
        linked = page_of(lesson).parent / file
        assert linked.exists(), target
        headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, target
