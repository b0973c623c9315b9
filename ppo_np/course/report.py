"""The result of a grading in 80 columns, in words first: no verdict is by colour alone."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ppo_np.course.checker import Result
from ppo_np.course.grading import BLANK, FAILED, RIGHT, WRONG, Outcome, Row
from ppo_np.course.lesson import Lesson, lessons
from ppo_np.course.progress import Progress
from ppo_np.course.teaching import Mark

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {RIGHT: "green", WRONG: "bold red", BLANK: "yellow"}

TOLD = (WRONG, FAILED)  # states of which there is something to tell


def style(plain: bool) -> dict[str, Any]:
    """Options of the console: with `plain` neither colours nor bold letters; otherwise as NO_COLOR and Rich say."""
    return {"color_system": None} if plain else {}


def print_result(console: "Console", result: Result, blind: bool = False) -> None:
    """Print each function's table, the diagnosis and the verdict. `blind` leaves the diagnosis out, as in a hunt."""
    from rich.text import Text

    lesson = result.lesson
    _print_folded(console, f"Lesson {lesson.number}, {lesson.title}: {lesson.question}", indent="")
    for outcome in result.outcomes:
        console.print()
        colour = COLOURS.get(outcome.state, "bold red" if outcome.state == FAILED else "yellow")
        console.print(Text.assemble(f"{outcome.function}: ", (outcome.state, colour)))
        for line in _lines(outcome, blind):
            _print_folded(console, line)
        for line in _table([row for row in outcome.rows if row.verdict != RIGHT] if outcome.state in TOLD else []):
            console.print(f"  {line}")
    console.print()
    if result.passed:
        console.print(Text(f"Passed: all {result.of} points are right (seed {result.seed}).", "green"))
        console.print("These are the points of this machine; a teacher's hidden points were not run.")
    else:
        of = f"{result.points} of {result.of} points (seed {result.seed})."
        console.print(of if blind else f"{of} For more: python -m ppo_np.course hint {lesson.number}")


def _print_folded(console: "Console", text: str, indent: str = "  ") -> None:
    """Print a sentence; where a line is full, the next one is indented."""
    print_at = max(20, console.width)
    for line in textwrap.wrap(text, print_at, initial_indent=indent, subsequent_indent=indent + "  "):
        console.print(line, soft_wrap=True)


def _lines(outcome: Outcome, blind: bool) -> Iterator[str]:
    """The lines below a function's verdict."""
    if outcome.state in TOLD:
        if not blind:
            yield from outcome.diagnosis
        yield from outcome.messages
        if outcome.kinds:
            known = any(" of " in count for count in outcome.kinds.values())
            head = "right rows: " if known else "rows: "
            yield head + "; ".join(f"{name} {count}" for name, count in outcome.kinds.items())
    elif outcome.state == RIGHT:
        yield f"{outcome.points} points, " + ", ".join(f"{row.output} {row.error:.0e}" for row in outcome.rows)
    else:
        yield from outcome.messages


def _table(rows: list[Row]) -> Iterator[str]:
    """The wrong outputs: where they are most wrong."""
    if rows:
        width = max(8, *(len(row.output) for row in rows))
        yield f"{'output':<{width}}  {'shape':<9} {'worst at':<9} {'yours':>12} {'right':>12} rel.error"
    for row in rows:
        numbers = f"{row.yours:12.5g} {row.right:12.5g} {row.error:9.1e}"
        yield f"{row.output:<{width}}  {row.shape:<9} {row.worst:<9} {numbers}"


def print_progress(console: "Console", progress: Progress) -> None:
    """A table of all lessons, and how many of the main course are passed."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in ("lesson", "title", "points", "hints", "bug hunt", "state"):
        table.add_column(column, justify="right" if column in ("lesson", "points", "hints") else "left")
    for lesson in lessons().values():
        entry = progress.of(lesson)
        title = f"{lesson.title} (extra)" if lesson.extra else lesson.title
        table.add_row(
            str(lesson.number), title, entry.get("points", ""), str(entry.get("hints", "") or ""),
            "found" if entry.get("hunted") else "", _state(lesson, entry),
        )  # fmt: skip
    console.print(table)
    passed = [bool(progress.of(lesson).get("passed")) for lesson in lessons().values() if not lesson.extra]
    console.print(f"{sum(passed)} of {len(passed)} lessons passed.")


def _state(lesson: Lesson, entry: dict[str, object]) -> str:
    state = "passed" if entry.get("passed") else "tried" if "points" in entry else ""
    return f"{state}, solution shown before" if entry.get("given_up") else state


def print_marks(console: "Console", marks: Sequence[Mark]) -> None:
    """A table of marks: one row for each student and lesson."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in ("student", "lesson", "points", "remark"):
        table.add_column(column, justify="right" if column == "points" else "left", overflow="fold")
    for mark in marks:
        table.add_row(mark.student, mark.lesson, f"{mark.points} of {mark.of}", mark.remark)
    console.print(table)
