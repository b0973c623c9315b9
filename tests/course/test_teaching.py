"""The teacher's side: hidden points, marks, lessons of a teacher's own, the autograder for Gradescope."""

import csv
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ppo_np.course.__main__ import main
from ppo_np.course.lesson import lesson_of
from ppo_np.course.teaching import chosen_lessons, hidden_seed
from ppo_np.errors import UserError

LINEAR = lesson_of("linear")
BIAS_MEAN = next(mistake for mistake in LINEAR.mistakes if mistake.name == "bias-mean")
PAGE = Path(__file__).parents[2] / "docs" / "course" / "teaching.md"
RIGHT_HUBER = """
import numpy as np
def huber_loss_backward(dloss, values, returns, delta):
    return dloss * np.clip(values - returns, -delta, delta) / len(values)
"""


@pytest.fixture
def classroom(tmp_path):
    """Three students: right, wrong, nothing."""
    files = {"ada": LINEAR.source, "bob": LINEAR.with_mistake(BIAS_MEAN), "eve": None}
    for student, text in files.items():
        (tmp_path / "submissions" / student).mkdir(parents=True)
        if text is not None:
            (tmp_path / "submissions" / student / f"{LINEAR.name}.py").write_text(text)
    (tmp_path / "secret.txt").write_text("a long secret\n")
    return tmp_path


def test_hidden_seeds_depend_on_secret_student_and_lesson():
    seeds = {hidden_seed(a, b, c) for a in ("x", "y") for b in ("ada", "bob") for c in ("lesson03", "lesson06")}
    assert len(seeds) == 8
    assert hidden_seed("x", "ada", "lesson03") == hidden_seed("x", "ada", "lesson03")
    assert min(seeds) >= 0


def test_extra_lessons_are_graded_only_if_they_are_named():
    assert [lesson.number for lesson in chosen_lessons([])] == list(range(1, 20))
    assert [lesson.number for lesson in chosen_lessons(["21", "22"])] == [21, 22]


def test_grade_marks_every_student(classroom, capsys):
    arguments = ["grade", str(classroom / "submissions"), "--secret-file", str(classroom / "secret.txt")]
    assert main([*arguments, "--lessons", "3", "--csv", str(classroom / "marks.csv"), "--json"]) == 0
    marks = {mark["student"]: mark for mark in json.loads(capsys.readouterr().out)}
    assert (marks["ada"]["points"], marks["ada"]["of"], marks["ada"]["remark"]) == (8, 8, "")
    assert 4 <= marks["bob"]["points"] < 8
    assert marks["bob"]["remark"] == f"linear_backward: {BIAS_MEAN.says}"
    assert (marks["eve"]["points"], marks["eve"]["remark"]) == (0, "There is no file lesson03_linear.py.")
    with open(classroom / "marks.csv", newline="") as file:
        assert [row["student"] for row in csv.DictReader(file)] == ["ada", "bob", "eve"]
    assert main([*arguments, "--lessons", "3"]) == 0
    assert "8 of 8" in capsys.readouterr().out


def test_a_lesson_that_is_nowhere_in_the_project_is_graded(classroom, capsys):
    """The example of the page."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (classroom / "variants").mkdir()
    (classroom / "variants" / "huber.py").write_text(block)
    wrong = RIGHT_HUBER.replace("/ len(values)", "")
    for student, text in {"ada": RIGHT_HUBER, "bob": wrong}.items():
        (classroom / "submissions" / student / "huber.py").write_text(text)
    arguments = ["--secret-file", str(classroom / "secret.txt"), "--lessons", str(classroom / "variants" / "huber.py")]
    assert main(["grade", str(classroom / "submissions"), *arguments, "--json"]) == 0
    marks = {mark["student"]: mark for mark in json.loads(capsys.readouterr().out)}
    assert (marks["ada"]["points"], marks["ada"]["of"]) == (1, 1)
    assert marks["bob"]["points"] == 0
    assert "a sum instead of a mean" in marks["bob"]["remark"]


def test_the_autograder_for_gradescope_grades_as_it_would_there(classroom):
    secret = ["--secret-file", str(classroom / "secret.txt")]
    assert main(["export", "gradescope", str(classroom / "out.zip"), *secret, "--lessons", "3"]) == 0
    scores = {}
    for student in ("ada", "bob", "eve"):
        autograder = classroom / "autograder" / student
        with zipfile.ZipFile(classroom / "out.zip") as archive:
            archive.extractall(autograder / "source")
            assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
        (autograder / "submission_metadata.json").write_text(json.dumps({"users": [{"id": 7}]}))
        os.symlink(classroom / "submissions" / student, autograder / "submission")
        environment = {"AUTOGRADER": str(autograder), "PYTHON": sys.executable, "PATH": os.environ["PATH"]}
        done = subprocess.run(["bash", autograder / "source" / "run_autograder"], env=environment, cwd=autograder)
        assert done.returncode == 0
        assert not (autograder / "source" / "settings.json").exists()
        (test,) = json.loads((autograder / "results" / "results.json").read_text())["tests"]
        scores[student] = (test["score"], test["max_score"], test["status"])
        if student == "bob":
            assert BIAS_MEAN.says in test["output"]
    assert scores["ada"] == (8, 8, "passed")
    assert scores["bob"][0] < 8
    assert scores["eve"] == (0, 8, "failed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grade", "nowhere", "--secret-file", "secret.txt"], "SUBMISSIONS is 'nowhere', but it must be a folder with"),
        (["grade", ".", "--secret-file", "none.txt"], "secret_file is 'none.txt', but it must be a text file"),
        (["grade", ".", "--secret-file", "empty.txt"], "secret_file is 'empty.txt', but that file is empty"),
        (
            ["grade", ".", "--secret-file", "secret.txt", "--lessons", "x.py"],
            "variant is 'x.py', but it must be",
        ),
        (["grade", ".", "--secret-file", "secret.txt", "--lessons", "bad.py"], "EXERCISES must be a list of Exercise."),
        (["export", "gradescope", "no/out.zip", "--secret-file", "secret.txt"], "no/out.zip cannot be written"),
    ],
)
def test_bad_arguments_get_one_sentence(classroom, monkeypatch, arguments, message):
    monkeypatch.chdir(classroom)
    (classroom / "empty.txt").touch()
    (classroom / "bad.py").write_text("EXERCISES = []")
    with pytest.raises(UserError) as error:
        main(arguments)
    assert message in str(error.value)
