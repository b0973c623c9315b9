"""Grade a learner's file in a process of its own, with a time limit."""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppo_np.course.grading import FAILED, RIGHT, Outcome, Row, ungraded
from ppo_np.course.lesson import Lesson

SECONDS = 20.0  # for one lesson


@dataclass(frozen=True)
class Result:
    """The grading of one lesson.

    Attributes:
        seed: of the points.
        outcomes: one for each function.
    """

    lesson: Lesson
    seed: int
    outcomes: list[Outcome]

    @property
    def passed(self) -> bool:
        """Whether every function is right."""
        return all(outcome.state == RIGHT for outcome in self.outcomes)

    @property
    def points(self) -> int:
        """Points of the exercises that are right."""
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def of(self) -> int:
        """All points of the lesson's exercises that were tried."""
        return sum(outcome.of for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        outcomes = [outcome.as_dict() for outcome in self.outcomes]
        return {
            "lesson": self.lesson.name, "passed": self.passed, "points": self.points, "of": self.of, "seed": self.seed,
            "functions": outcomes,
        }  # fmt: skip


def check(lesson: Lesson, file: Path, seed: int, from_reference: bool = False, seconds: float = SECONDS) -> Result:
    """Grade a file. Whatever it does, this returns within about `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        order = {
            "lesson": lesson.key, "file": str(file.resolve()), "seed": seed, "from_reference": from_reference,
            "seconds": seconds, "trace": str(trace),
        }  # fmt: skip
        command = [sys.executable, "-m", "ppo_np.course.worker"]
        path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        try:
            done = subprocess.run(
                command, input=json.dumps(order), capture_output=True, text=True, timeout=seconds + 5,
                env=os.environ | one_thread | {"PYTHONPATH": path.rstrip(os.pathsep)}, cwd=file.parent,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Result(lesson, seed, ungraded(lesson, FAILED, _stuck(trace, file, seconds)))
        if done.stderr:
            sys.stderr.write(done.stderr)
        try:
            return Result(lesson, seed, [_outcome(entry) for entry in json.loads(done.stdout)])
        except ValueError:
            stuck = trace.exists() and trace.stat().st_size > 0
            why = (
                _stuck(trace, file, seconds) if stuck else f"The file ended its process (exit code {done.returncode})."
            )
            return Result(lesson, seed, ungraded(lesson, FAILED, why))


def _outcome(entry: dict[str, Any]) -> Outcome:
    return Outcome(**{**entry, "rows": [Row(**row) for row in entry["rows"]]})


def _stuck(trace: Path, file: Path, seconds: float) -> str:
    """Where the file was when its time was over, from the traceback that was written then."""
    text = trace.read_text(errors="replace") if trace.exists() else ""
    lines = re.findall(r'File "([^"]+)", line (\d+)', text)
    own = [line for name, line in lines if Path(name).parent == file.resolve().parent]
    where = f" in line {own[0]} of {file.name}" if own else ""
    return f"Not finished after {seconds:g} s{where}: an endless loop?"
