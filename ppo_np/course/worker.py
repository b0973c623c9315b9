"""The process in which a learner's file is run and graded: python -m ppo_np.course.worker, started by `checker`.

It gets a JSON object on standard input and writes one to the file that is named there. What the learner's file prints
goes to standard error. If the time is over, the place where the file is stuck is written to another file.
"""

import faulthandler
import json
import os
import sys
from pathlib import Path

from ppo_np.course.contract import exception_sentence
from ppo_np.course.grading import BLANK, FAILED, Outcome, grade, ungraded
from ppo_np.course.lesson import WORKED, Lesson, load
from ppo_np.course.variant import lesson_by_key


def main() -> None:
    """Grade one lesson."""
    order = json.load(sys.stdin)
    sys.dont_write_bytecode = True
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with open(order["trace"], "w") as trace:
        faulthandler.dump_traceback_later(order["seconds"], exit=True, file=trace)
        outcomes = graded(lesson_by_key(order["lesson"]), Path(order["file"]), order["from_reference"], order["seed"])
        faulthandler.cancel_dump_traceback_later()
    json.dump([outcome.as_dict() for outcome in outcomes], report)
    report.flush()
    os._exit(0)  # threads and exit handlers of the learner's file do not matter


def graded(lesson: Lesson, file: Path, from_reference: bool, seed: int) -> list[Outcome]:
    """The outcomes of a lesson's functions in a file."""
    folders = [WORKED] if from_reference else [file.parent]
    try:
        mine = load(file.read_text(encoding="utf-8-sig"), file, folders)
    except NotImplementedError as error:
        return ungraded(lesson, BLANK, f"{error} is not written yet.")
    except (Exception, SystemExit) as error:
        return ungraded(lesson, FAILED, exception_sentence(error, str(file)))
    return grade(lesson, mine, seed, str(file))


if __name__ == "__main__":
    main()
