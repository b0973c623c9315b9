"""The commands of the course, as a learner meets them."""

import errno
import json
import os
import pydoc
import re
import threading
import time
from types import SimpleNamespace

import pytest

from ppo_np.course.__main__ import main
from ppo_np.course.hunting import chosen, hunt_file
from ppo_np.course.lesson import lesson_of, lessons
from ppo_np.course.progress import NAME, Progress
from ppo_np.course.training import train as train_module
from ppo_np.course.watching import watch
from ppo_np.errors import UserError

LINEAR = lesson_of("linear")


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    assert main(["start", str(tmp_path / "mine")]) == 0
    monkeypatch.chdir(tmp_path / "mine")
    capsys.readouterr()
    return tmp_path / "mine"


def write(folder, lesson, text=None):
    (folder / f"{lesson.name}.py").write_text(lesson.source if text is None else text)


def test_start_lays_out_blanks_and_overwrites_nothing(folder, capsys):
    files = sorted(path.name for path in folder.iterdir())
    assert files == [f"{lesson.name}.py" for lesson in lessons().values() if lesson.has_functions]
    write(folder, LINEAR, "mine")
    assert main(["start", str(folder)]) == 0
    assert (folder / f"{LINEAR.name}.py").read_text() == "mine"


def test_check_says_what_is_right_and_wrong_and_progress_keeps_it(folder, capsys):
    assert main(["check", "3"]) == 1
    assert "linear_forward is not written yet." in capsys.readouterr().out
    write(folder, LINEAR)
    assert main(["check", "linear", "--seed", "5"]) == 0
    assert "Passed: all 8 points are right (seed 5)." in capsys.readouterr().out
    assert main(["progress"]) == 0
    printed = capsys.readouterr().out
    for text in ("8 of 8", "Action masks (extra)", "1 of 20 lessons passed."):
        assert text in printed
    write(folder, LINEAR, LINEAR.blank())
    assert main(["check", f"{LINEAR.name}.py"]) == 1
    assert Progress(folder).of(LINEAR)["passed"]


def test_a_wrong_function_is_diagnosed_within_80_columns(folder, capsys):
    mistake = next(mistake for mistake in LINEAR.mistakes if mistake.name == "bias-mean")
    write(folder, LINEAR, LINEAR.with_mistake(mistake))
    assert main(["check", "3", "--plain"]) == 1
    printed = capsys.readouterr().out
    assert mistake.says in " ".join(printed.split())
    assert "dbias" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_json_has_everything_and_nothing_else_is_printed(folder, capsys):
    write(folder, LINEAR)
    assert main(["check", "3", "--json", "--seed", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is True
    assert (document["lesson"], document["points"], document["of"], document["seed"]) == ("lesson03_linear", 8, 8, 1)
    assert [function["function"] for function in document["functions"]] == ["linear_forward", "linear_backward"]


def test_three_hints_one_more_each_time(folder, capsys):
    for number in (1, 2, 3, 3):
        assert main(["hint", "3"]) == 0
        assert capsys.readouterr().out.count("Hint ") == number


def test_a_solution_is_shown_after_the_lesson_passed_or_if_one_gives_up_which_is_recorded(folder, capsys):
    with pytest.raises(UserError, match="Lesson 3 is not passed yet; --give-up shows the solution all the same."):
        main(["solution", "3"])
    assert main(["solution", "3", "--give-up"]) == 0
    assert capsys.readouterr().out == LINEAR.source
    assert Progress(folder).of(LINEAR)["given_up"]


def test_reset_keeps_what_was_written(folder, capsys):
    write(folder, LINEAR, "first")
    assert main(["reset", "3"]) == 0
    write(folder, LINEAR, "second")
    assert main(["reset", "3"]) == 0
    assert (folder / f"{LINEAR.name}.py").read_text() == LINEAR.blank()
    assert (folder / f"{LINEAR.name}.py.bak").read_text() == "first"
    assert (folder / f"{LINEAR.name}.py.bak2").read_text() == "second"


def test_a_hunt_withholds_the_bug_and_ends_when_it_is_repaired(folder, capsys):
    assert main(["hunt", "3", "--seed", "4"]) == 1
    bug = chosen(LINEAR, 4)
    printed = " ".join(capsys.readouterr().out.split())
    assert bug.says not in printed
    assert bug.name not in printed
    file = hunt_file(folder, LINEAR)
    assert '"""Bug hunt of lesson 3' in file.read_text()
    assert bug.new in file.read_text()
    file.write_text(file.read_text().replace(bug.new, bug.old))
    assert main(["hunt", "3"]) == 0
    assert Progress(folder).of(LINEAR)["hunted"]
    assert main(["hunt", "3", "--answer"]) == 0
    assert bug.says in " ".join(capsys.readouterr().out.split())


def test_every_bug_can_be_drawn():
    for lesson in lessons().values():
        if lesson.mistakes:
            assert {chosen(lesson, seed).name for seed in range(300)} == {mistake.name for mistake in lesson.mistakes}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lessons": 3}', '{"lessons": {"lesson03_linear": 4}}'])
def test_a_damaged_record_counts_as_nothing_done(folder, text):
    (folder / NAME).write_text(text)
    assert Progress(folder).of(LINEAR) == {}
    assert main(["hint", "3"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "99"], "LESSON is '99', but it must be a number from 1 to "),
        (["check", "3", "--seed", "-1"], "seed is -1, but it must be an integer >= 0."),
        (["check", "3", "--dir", "nowhere"], "DIR is 'nowhere', but it must be a folder with lessons"),
        (["start", f"{LINEAR.name}.py"], "but that is a file; it must be a folder or a new name."),
    ],
)
def test_bad_arguments_get_one_sentence(folder, arguments, message):
    with pytest.raises(UserError) as error:
        main(arguments)
    assert message in str(error.value)


def test_watch_grades_a_file_whenever_it_is_saved(tmp_path):
    files = [tmp_path / name for name in ("a.py", "b.py")]
    files[0].write_text("1")
    seen = []
    done = threading.Event()
    thread = threading.Thread(target=watch, args=(files, seen.append, done.is_set))
    thread.start()
    time.sleep(0.5)
    files[0].write_text("23")
    temporary = tmp_path / "new"
    temporary.write_text("4")
    os.replace(temporary, files[1])
    deadline = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    done.set()
    thread.join()
    assert sorted(seen) == files


def test_train_takes_the_functions_that_are_written_and_leaves_out_blanks_and_skipped_lessons(folder, monkeypatch):
    seen = {}

    def train_with(functions, env, seed, console, updates):
        seen.update(functions=functions, env=env, seed=seed, updates=updates)
        return SimpleNamespace(exit_code=0)

    monkeypatch.setattr(train_module, "train_with", train_with)
    write(folder, LINEAR)
    write(folder, lesson_of("2"))
    assert main(["train", "--env", "lunarlander", "--updates", "3", "--from-reference", "2"]) == 0
    assert seen["functions"].keys() == {"linear_forward", "linear_backward"}
    assert (seen["env"], seen["seed"], seen["updates"]) == ("lunarlander", None, 3)
    assert main(["train", "--from-reference", "all"]) == 0
    assert seen["functions"] == {}
    write(folder, LINEAR, "def linear_forward(x:\n")
    with pytest.raises(UserError, match="line 1 of lesson03_linear.py"):
        main(["train"])


def test_two_records_at_the_same_time_are_both_kept(folder):
    first, second = Progress(folder), Progress(folder)
    first.record(LINEAR, passed=True)
    second.record(lesson_of("1"), hints=2)
    second.record(LINEAR, points="3 of 8")
    assert Progress(folder).of(LINEAR) == {"passed": True, "points": "3 of 8"}
    assert Progress(folder).of(lesson_of("1")) == {"hints": 2}


@pytest.mark.parametrize(
    ("plain", "variables", "codes"),
    [
        ([], {}, {"1;31", "0"}),
        ([], {"NO_COLOR": "1"}, {"1", "0"}),
        (["--plain"], {}, set()),
    ],
)
def test_colours_are_left_out_as_asked(folder, capsys, monkeypatch, plain, variables, codes):
    write(folder, LINEAR, LINEAR.with_mistake(LINEAR.mistakes[0]))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["check", "3", *plain]) == 1
    found = set(re.findall(r"\x1b\[([\d;]*)m", capsys.readouterr().out))
    assert found - {"32"} == codes


def test_a_grading_is_told_where_it_cannot_be_recorded(folder, capsys):
    write(folder, LINEAR)
    (folder / NAME).mkdir()
    assert main(["check", "3"]) == 0
    printed = capsys.readouterr()
    assert "Passed: all 8 points are right" in printed.out
    assert printed.err == "Not recorded: .course.json cannot be written: Is a directory.\n"


def test_a_file_that_cannot_be_renamed_is_not_blanked(folder, monkeypatch):
    def refused(source, target):
        raise PermissionError(errno.EACCES, "")

    write(folder, LINEAR, "mine")
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(UserError, match=r"lesson03_linear.py cannot be renamed: Permission denied\."):
        main(["reset", "3"])
    assert (folder / f"{LINEAR.name}.py").read_text() == "mine"


@pytest.mark.parametrize(("given", "used"), [(None, "-R"), ("-S", "-S -R")])
def test_a_pager_shows_styles_and_not_their_codes(folder, monkeypatch, given, used):
    seen = []
    monkeypatch.setattr(pydoc, "pager", lambda text: seen.append((os.environ["LESS"], text)))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LESS", given or "")
    assert main(["show", "3"]) == 0
    ((options, text),) = seen
    assert options == used
    assert "\x1b[" in text
