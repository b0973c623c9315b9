"""Learn PPO by writing its functions: `python -m ppo_np.course`. One lesson at a time, graded on your machine."""

import os
import secrets
import sys
from collections.abc import Sequence
from json import dumps, loads
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ppo_np.course import folder as own
from ppo_np.course.checker import Result, check
from ppo_np.course.hunting import chosen, hunt_file, hunt_source
from ppo_np.course.lesson import Lesson, lesson_of, lessons
from ppo_np.course.page import page_of, plain_page
from ppo_np.course.progress import Progress
from ppo_np.course.report import print_progress, print_result, style
from ppo_np.course.teacher_commands import export, grade
from ppo_np.course.watching import watch as watch_files
from ppo_np.errors import UserError
from ppo_np.errors import check as check_argument
from ppo_np.running import cli
from ppo_np.running.output import make_console

PROG = "python -m ppo_np.course"
SEEDS = 1_000_000

Dir = Annotated[Path, tyro.conf.arg(help="The folder that `start` has made.")]
Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="LESSON", help="Its number, name or file.")]
NextName = Annotated[
    str | None,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[LESSON]", help="Its number, name or file (default: the first one not passed)."),
]
NextNameOrAll = Annotated[
    str | None,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="[LESSON]", help='Its number, name or file, or "all" (default: the first one not passed).'),
]
Seed = Annotated[int | None, tyro.conf.arg(help="Of the points (default: a new one each time).")]
Plain = Annotated[bool, tyro.conf.arg(help="Neither colours nor bold letters.")]
FromReference = Annotated[bool, tyro.conf.arg(help="Take the functions of earlier lessons from the course itself.")]


def start(dir: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR", help="A new folder.")]) -> int:
    """Lay out one Python file a lesson: signatures, docstrings, blanks. Files that are there stay as they are."""
    written = own.lay_out(dir)
    console = make_console()
    console.print(f"{len(written)} lessons are in {dir}. Begin with:")
    console.print(f"  cd {dir}")
    first = next(iter(lessons().values()))
    console.print(f"  {PROG} show {first.number}     the page of lesson {first.number}")
    console.print(f"  {PROG} check {first.number}    grades {own.file_of(Path(), first)}")
    return cli.DONE


def check_lesson(
    lesson: NextNameOrAll = None, dir: Dir = Path(), from_reference: FromReference = False, seed: Seed = None,
    json: bool = False, plain: Plain = False,
) -> int:  # fmt: skip
    """Grade a lesson: exit code 0 if all its points are right, 1 if not.

    Args:
        json: Print one JSON object.
    """
    check_argument(seed is None or seed >= 0, "seed", seed, "an integer >= 0")
    folder, progress = own.checked(dir), Progress(dir)
    chosen_lessons = _with_functions() if lesson == "all" else [_lesson_or_next(lesson, progress)]
    results = []
    for one in chosen_lessons:
        check_argument(
            one.has_functions, "LESSON", one.number, "a lesson with functions to write; for lesson 20: train"
        )
        result = check(
            one, own.existing_file(folder, one), secrets.randbelow(SEEDS) if seed is None else seed, from_reference
        )
        results.append(result)
        if not json:
            print_result(make_console(**style(plain)), result)
        _record(progress, result)
    if json:
        _print_json(results)
    return cli.DONE if all(result.passed for result in results) else cli.FAILED


def _lesson_or_next(text: str | None, progress: Progress) -> Lesson:
    """The lesson that is named, or the first one that has not been passed; the last one if all have been."""
    if text is not None:
        return lesson_of(text)
    graded = _with_functions()
    return next((lesson for lesson in graded if not progress.of(lesson).get("passed")), graded[-1])


def _with_functions() -> list[Lesson]:
    return [lesson for lesson in lessons().values() if lesson.has_functions]


def _record(progress: Progress, result: Result) -> None:
    """Keep the points of a grading, if they can be written; a lesson that was passed once stays passed."""
    passed = result.passed or progress.of(result.lesson).get("passed", False)
    try:
        progress.record(result.lesson, passed=passed, points=f"{result.points} of {result.of}")
    except UserError as error:
        make_console(stderr=True).print(f"Not recorded: {error}", soft_wrap=True)


def _print_json(results: Sequence[Result]) -> None:
    documents = [result.as_dict() for result in results]
    text = dumps(documents[0] if len(documents) == 1 else documents)
    print(dumps(loads(text, parse_constant=lambda _: None), allow_nan=False))


def watch(dir: Dir = Path(), from_reference: FromReference = False, plain: Plain = False) -> int:
    """Grade a lesson again whenever its file is saved, until Ctrl-C."""
    folder, console = own.checked(dir), make_console(**style(plain))
    files = {own.file_of(folder, lesson): lesson for lesson in _with_functions()}

    def saved(file: Path) -> None:
        result = check(files[file], file, secrets.randbelow(SEEDS), from_reference)
        console.rule(style="none", characters="-")
        print_result(console, result)
        _record(Progress(folder), result)

    console.print(f"Waiting until a file in {folder} is saved. Ctrl-C ends this.")
    try:
        watch_files(files, saved)
    except KeyboardInterrupt:
        console.print()
    return cli.DONE


def hint(lesson: NextName = None, dir: Dir = Path()) -> int:
    """Show the next of three hints: a question, the idea, the formula."""
    own.checked(dir)
    progress = Progress(dir)
    one = _lesson_or_next(lesson, progress)
    known = min(progress.of(one).get("hints", 0) + 1, len(one.hints))
    console = make_console()
    for number in range(known):
        console.print(f"Hint {number + 1} of {len(one.hints)}, lesson {one.number}: {one.hints[number]}")
    progress.record(one, hints=known)
    return cli.DONE


def show(lesson: NextName = None, dir: Dir = Path(), path: bool = False) -> int:
    """Show the page of a lesson in the terminal.

    Args:
        path: Only print where the page is, for an editor or a browser.
    """
    page = page_of(_lesson_or_next(lesson, Progress(dir)))
    if path:
        print(page)
        return cli.DONE
    from rich.markdown import Markdown

    console = make_console()
    markdown = Markdown(plain_page(page.read_text(encoding="utf-8")), hyperlinks=False)
    if console.is_terminal and os.environ.get("PAGER", "less"):
        os.environ["LESS"] = f"{os.environ.get('LESS', '')} -R".strip()  # colours and bold letters, not their codes
        with console.pager(styles=True):
            console.print(markdown)
    else:
        console.print(markdown)
    return cli.DONE


def hunt(
    lesson: Name, dir: Dir = Path(), seed: Seed = None, answer: bool = False, again: bool = False, plain: Plain = False
) -> int:
    """Plant one bug into a working function, to be found from the report alone and repaired in one line.

    The first call writes hunts/lessonNN_....py, later calls grade it. The exit code is 0 once the bug is repaired.

    Args:
        answer: Say what the bug is; that is recorded.
        again: Begin a new hunt with another bug.
    """
    folder, one = own.checked(dir), lesson_of(lesson)
    check_argument(one.has_functions, "LESSON", one.number, "a lesson with functions to write")
    progress, file = Progress(folder), hunt_file(folder, one)
    if again or not file.exists():
        planted = secrets.randbelow(SEEDS) if seed is None else seed
        own.write(file, hunt_source(one, planted))
        progress.record(one, hunt=planted, hunted=False)
    planted = progress.of(one).get("hunt", seed or 0)
    console = make_console(**style(plain))
    if answer:
        progress.record(one, hunt_given_up=True)
        console.print(f"{chosen(one, planted).function}: {chosen(one, planted).says}")
        return cli.DONE
    result = check(one, file, secrets.randbelow(SEEDS), from_reference=True)
    progress.record(one, hunted=result.passed)
    print_result(console, result, blind=True)
    console.print(
        "The bug is repaired." if result.passed else f"One line of {file} is wrong. Repair it and hunt again."
    )
    return cli.DONE if result.passed else cli.FAILED


def solution(lesson: Name, dir: Dir = Path(), give_up: bool = False) -> int:
    """Print the worked functions of a lesson that you have passed.

    Args:
        give_up: Print them before that; it is recorded.
    """
    one = lesson_of(lesson)
    own.checked(dir)
    progress = Progress(dir)
    if not progress.of(one).get("passed"):
        if not give_up:
            raise UserError(f"Lesson {one.number} is not passed yet; --give-up shows the solution all the same.")
        progress.record(one, given_up=True)
    print(one.source, end="")
    return cli.DONE


def show_progress(dir: Dir = Path(), plain: Plain = False) -> int:
    """Print a table of all lessons: passed, points, hints, hunts."""
    own.checked(dir)
    print_progress(make_console(**style(plain)), Progress(dir))
    return cli.DONE


def reset(lesson: Name, dir: Dir = Path()) -> int:
    """Put the blank of a lesson back. The file as it was is kept beside it, with the ending .bak."""
    folder, one = own.checked(dir), lesson_of(lesson)
    kept = own.reset(folder, one)
    make_console().print(
        f"{own.file_of(folder, one)} is blank again" + (f"; what was in it is in {kept}." if kept else ".")
    )
    return cli.DONE


def train(
    dir: Dir = Path(), env: Literal["cartpole", "lunarlander"] = "cartpole", seed: Seed = None,
    from_reference: tuple[str, ...] = (), updates: int | None = None, plain: Plain = False,
) -> int:  # fmt: skip
    """Train with your own functions in place of the kernels, and compare each update with the package's own run.

    Exit code 0 if your parameters are the same bits as the package's, or only rounded differently.

    Args:
        env: CartPole takes about a minute, LunarLander about three.
        from_reference: Lessons whose functions come from the course itself, or "all".
        updates: Stop after so many updates.
    """
    check_argument(updates is None or updates >= 1, "updates", updates, "an integer >= 1")
    every = "all" in from_reference
    skipped = lessons().keys() if every else {lesson_of(text).number for text in from_reference}
    functions = own.learned_functions(own.checked(dir), skipped)
    from ppo_np.course.training.train import train_with  # slow: imported here, it does not delay the other commands

    return train_with(functions, env, seed, make_console(**style(plain)), updates).exit_code


COMMANDS: dict[str, Any] = {
    "start": start, "check": check_lesson, "watch": watch, "hint": hint, "show": show, "hunt": hunt,
    "train": train, "solution": solution, "progress": show_progress, "reset": reset, "grade": grade, "export": export,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments, run the command, and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    return tyro.extras.subcommand_cli_from_dict(
        COMMANDS, args=list(arguments) or ["--help"], prog=PROG, description=__doc__, sort_subcommands=False
    )


if __name__ == "__main__":
    cli.run(main)
