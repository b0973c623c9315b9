"""Every lesson: blanks fail, right functions pass however they are written, each mistake fails and is named."""

import re

import pytest
from course.lesson_files import ALL, LESSONS, MISTAKES, failed, graded, planted_in_variants, variants

SEEDS = (1, 2, 3)
of_each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


@of_each_lesson
def test_a_blank_has_the_signatures_and_docstrings_and_fails_everywhere(lesson):
    blank = lesson.blank()
    outcomes = graded(lesson, blank)
    assert {outcome.state for outcome in outcomes} <= {"blank", "not graded"}
    assert outcomes[0].state == "blank"
    for exercise in lesson.exercises:
        assert re.search(rf'def {exercise.function}\([^)]*\):\n    """', blank)
        assert f'raise NotImplementedError("{exercise.function}")' in blank
    assert "return " not in re.sub(r'"""[\s\S]*?"""', "", blank)


@of_each_lesson
def test_the_worked_file_passes_at_many_seeds(lesson):
    for seed in SEEDS:
        assert failed(graded(lesson, lesson.source, seed)) == []


@of_each_lesson
def test_three_other_ways_of_writing_it_pass(lesson):
    assert len(variants(lesson)) >= 3
    for path in variants(lesson):
        for seed in SEEDS[:2]:
            assert failed(graded(lesson, path.read_text(), seed, path)) == [], path


@pytest.mark.parametrize(("lesson", "mistake"), MISTAKES, ids=[f"{a.name}-{b.name}" for a, b in MISTAKES])
def test_each_mistake_of_the_catalogue_fails_and_is_named(lesson, mistake):
    (outcome, *_) = failed(graded(lesson, lesson.with_mistake(mistake), seed=1))
    assert outcome.function == mistake.function
    assert outcome.mistake == mistake.name
    assert mistake.says in outcome.diagnosis


def test_mistakes_in_functions_that_are_written_differently_fail_and_nearly_all_are_named():
    planted = planted_in_variants()
    named = [failed(graded(lesson, source, 1, path))[0].mistake for lesson, _, path, source in planted]
    right = [one == name for one, (_, name, _, _) in zip(named, planted, strict=True)]
    wrong = [one not in ("", name) for one, (_, name, _, _) in zip(named, planted, strict=True)]
    told = [(path.parent.name, path.stem, name, one) for one, (_, name, path, _) in zip(named, planted, strict=True)]
    missed = [line for line, good in zip(told, right, strict=True) if not good]
    assert sum(right) >= 0.95 * len(planted), missed
    assert sum(wrong) <= 0.02 * len(planted), missed


@pytest.mark.parametrize("lesson", ALL, ids=lambda lesson: lesson.name)
def test_texts_are_complete(lesson):
    assert len(lesson.hints) == 3
    assert all(text.strip() for text in (lesson.title, lesson.question, *lesson.hints))
    assert all(number < lesson.number for number in lesson.needs)
    assert len({mistake.name for mistake in lesson.mistakes}) == len(lesson.mistakes) >= lesson.has_functions
    assert {mistake.function for mistake in lesson.mistakes} <= {exercise.function for exercise in lesson.exercises}
