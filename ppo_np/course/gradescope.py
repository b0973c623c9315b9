"""An autograder for Gradescope: a zip file with this package, and the script that runs for each submission."""

import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppo_np.course.grading import RIGHT, WRONG, Outcome
from ppo_np.course.teaching import Mark, chosen_lessons, grade_submission
from ppo_np.errors import UserError

ROOT = Path(__file__).parents[2]
SETUP = """#!/usr/bin/env bash
apt-get update && apt-get install -y python3 python3-pip
python3 -m pip install --break-system-packages numpy || python3 -m pip install numpy
"""
RUN = """#!/usr/bin/env bash
autograder="${AUTOGRADER:-/autograder}"
export PYTHONPATH="$autograder/source/package"
"${PYTHON:-python3}" -m ppo_np.course.gradescope "$autograder"
"""


def export(path: Path, secret: str, names: Sequence[str]) -> list[str]:
    """Write the zip file and return the names of the lessons that it grades.

    Args:
        path: of the zip file; a file that is there is replaced.
        secret: chooses the hidden points; it stands in the zip, which students never see.
        names: lessons, or a teacher's own files with EXERCISES; empty for lessons 1 to 19.

    Raises UserError if the file cannot be written.
    """
    lessons = chosen_lessons(names)
    own = [name for name in names if name.endswith(".py")]
    settings = {"secret": secret, "lessons": [Path(name).name if name in own else name for name in names]}
    files = [
        path for package in ("kernels", "ppo_np") for path in sorted((ROOT / package).rglob("*")) if _belongs(path)
    ]
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in (("setup.sh", SETUP), ("run_autograder", RUN), ("settings.json", json.dumps(settings))):
                entry = zipfile.ZipInfo(name)
                entry.external_attr = 0o755 << 16
                archive.writestr(entry, text)
            for file in files:
                archive.write(file, Path("package") / file.relative_to(ROOT))
            for name in own:
                archive.write(name, Path("variants") / Path(name).name)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None
    return [lesson.name for lesson in lessons]


def _belongs(path: Path) -> bool:
    return path.is_file() and path.suffix in (".py", ".toml", ".typed") and "__pycache__" not in path.parts


def autograde(autograder: Path) -> dict[str, Any]:
    """Grade the files in autograder/submission; write and return the content of autograder/results/results.json.

    The secret is deleted before a student's file runs. Gradescope makes a new container for each submission.
    """
    file = autograder / "source" / "settings.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    variants = autograder / "source" / "variants"
    names = [str(variants / name) if name.endswith(".py") else name for name in settings["lessons"]]
    marks = grade_submission(autograder / "submission", _student(autograder), settings["secret"], chosen_lessons(names))
    results = {"tests": [_test(mark) for mark in marks], "visibility": "visible", "stdout_visibility": "hidden"}
    folder = autograder / "results"
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return results


def _student(autograder: Path) -> str:
    """Who has submitted: the ids in Gradescope's metadata; "" without them."""
    try:
        users = json.loads((autograder / "submission_metadata.json").read_text(encoding="utf-8"))["users"]
        return ",".join(sorted(str(user["id"]) for user in users))
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _test(mark: Mark) -> dict[str, Any]:
    """One test in Gradescope's format."""
    outcomes = mark.result.outcomes if mark.result else []
    lines = [line for outcome in outcomes for line in _lines(outcome)] or [mark.remark]
    status = "passed" if mark.points == mark.of else "failed"
    return {
        "name": mark.lesson, "score": mark.points, "max_score": mark.of, "status": status, "output": "\n".join(lines),
    }  # fmt: skip


def _lines(outcome: Outcome) -> list[str]:
    """What a student reads; the numbers of hidden points are not shown."""
    head = f"{outcome.function}: {outcome.state}"
    return [head] if outcome.state == RIGHT else [head, *outcome.diagnosis, *_messages(outcome)]


def _messages(outcome: Outcome) -> list[str]:
    wrong = [row.output for row in outcome.rows if row.verdict == WRONG]
    return outcome.messages + ([f"wrong: {', '.join(wrong)}"] if wrong else [])


if __name__ == "__main__":
    autograde(Path(sys.argv[1]))
