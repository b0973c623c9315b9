"""A learner's file can do anything: the checker says what is wrong with it in a sentence, in time."""

import time

import pytest

from ppo_np.course.checker import check
from ppo_np.course.lesson import lesson_of, lessons

LINEAR = lesson_of("linear")
RIGHT = LINEAR.source
LINE = RIGHT.partition("    return x @ weight + bias\n")[0].count("\n") + 1
FORWARD = "    return x @ weight + bias\n"
BACKWARD = "    return dweight, dbias, dx\n"


def checked(tmp_path, text, seconds=20.0, lesson=LINEAR, **options):
    file = tmp_path / f"{lesson.name}.py"
    file.write_text(text)
    return check(lesson, file, 7, seconds=seconds, **options)


def messages(result):
    return [message for outcome in result.outcomes for message in outcome.messages]


def test_right_functions_pass_and_what_they_print_is_no_result(tmp_path, capfd):
    result = checked(tmp_path, RIGHT.replace(FORWARD, "    print('{}')\n" + FORWARD))
    assert result.passed
    assert result.points == result.of == 8
    assert "{}" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (FORWARD.replace("+ bias", "+ bais"), f"NameError: name 'bais' is not defined, in line {LINE} of"),
        (FORWARD.replace("@ weight", "@ weight.T @ weight"), "ValueError: "),
        ("    return None\n", "Your function returns nothing (None): does it end with return?"),
        ("    x += 1\n" + FORWARD, "Your function changed its argument x: work on a copy."),
        (FORWARD.replace("bias", "bias[:, None]"), ""),
        ("    return (x @ weight + bias).T\n", "y has the shape (2, 4), but it must be (4, 2). It is transposed."),
        ("    return (x @ weight + bias).astype('float32')\n", "y has the dtype float32, but it must be float64"),
        ("    return (x @ weight + bias) * float('nan')\n", "y at [0, 0] is nan, not a finite number."),
        ("    return 'y'\n", "y has the "),
        ("    return [x @ weight, bias]\n", "y must be an array, but yours is a list of 2."),
    ],
)
def test_each_kind_of_failure_is_told(tmp_path, body, message):
    result = checked(tmp_path, RIGHT.replace(FORWARD, body))
    assert not result.passed
    assert result.outcomes[0].state in ("WRONG", "error")
    assert message in " ".join(messages(result))
    assert "Traceback" not in " ".join(messages(result))


def test_a_file_that_does_not_parse(tmp_path):
    result = checked(tmp_path, RIGHT.replace(FORWARD, "    return x @@ weight\n"))
    assert messages(result) == [f"SyntaxError: invalid syntax: line {LINE} of lesson03_linear.py."]


def test_a_function_that_is_missing(tmp_path):
    result = checked(tmp_path, RIGHT.replace("def linear_backward", "def backward"))
    assert messages(result) == ["The file has no function linear_backward."]


@pytest.mark.parametrize("text", ["import sys\nsys.exit(3)\n", "import os\nos._exit(3)\n", "quit()\n"])
def test_a_file_that_ends_its_process(tmp_path, text):
    result = checked(tmp_path, text + RIGHT)
    assert not result.passed
    assert len(messages(result)) == 1


def test_an_endless_loop_is_told_with_its_line_in_time(tmp_path):
    start = time.perf_counter()
    result = checked(tmp_path, RIGHT.replace(FORWARD, "    while True:\n        pass\n"), seconds=1.0)
    assert time.perf_counter() - start < 5
    (message,) = messages(result)
    assert message in [
        f"Not finished after 1 s in line {line} of lesson03_linear.py: an endless loop?" for line in (LINE, LINE + 1)
    ]


def test_a_lesson_needs_only_earlier_ones_and_the_reference_can_stand_in_for_them(tmp_path):
    lesson = lesson_of("categorical")
    (tmp_path / f"{lesson_of('5').name}.py").write_text(lesson_of("5").blank())
    result = checked(tmp_path, lesson.source, lesson=lesson)
    assert not result.passed
    assert "log_softmax of an earlier lesson is not written yet: write it first, or use --from-reference." in messages(
        result
    )
    assert checked(tmp_path, lesson.source, lesson=lesson, from_reference=True).passed


def test_lessons_pass_in_their_process_from_the_reference(tmp_path):
    for lesson in lessons().values():
        if lesson.number in (1, 4, 13, 19):
            assert checked(tmp_path, lesson.source, lesson=lesson, from_reference=True).passed, lesson.name


def test_the_points_depend_on_the_seed_alone(tmp_path):
    wrong = RIGHT.replace(FORWARD, FORWARD.replace("+", "-"))
    first, again = checked(tmp_path, wrong), checked(tmp_path, wrong)
    assert first.as_dict() == again.as_dict()
    other = check(LINEAR, tmp_path / f"{LINEAR.name}.py", 8)
    assert other.as_dict() != first.as_dict()


def test_a_file_that_is_not_graded_has_all_points_of_its_lesson(tmp_path):
    for text in ("(\n", "import os\nos._exit(3)\n", "raise NotImplementedError('f')\n", LINEAR.blank(), ""):
        result = checked(tmp_path, text)
        assert (result.points, result.of, len(result.outcomes)) == (0, 8, 2), text


@pytest.mark.parametrize(("encoding", "passes"), [("utf-8-sig", True), ("latin-1", False), ("utf-16", False)])
def test_encodings_that_editors_write(tmp_path, encoding, passes):
    file = tmp_path / f"{LINEAR.name}.py"
    file.write_bytes(("# Übung\n" + RIGHT).replace("\n", "\r\n").encode(encoding))
    result = check(LINEAR, file, 1)
    assert result.passed is passes
    assert messages(result) == (
        [] if passes else ["lesson03_linear.py is not a text in UTF-8. Save it again with this encoding."]
    )
