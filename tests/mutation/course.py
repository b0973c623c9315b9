"""Mutation testing of the course: change one thing in a worked function at a time, and see whether the grading notices.

    python tests/mutation/course.py                     # all lessons
    python tests/mutation/course.py 3 6                 # these lessons
    python tests/mutation/course.py --sample 200        # the same 200 mutants each time: for CI

The mutants are those that cosmic-ray makes with the operators of `cosmic-ray.toml`. Each one is graded as if a learner
had written it, in a process of its own that is forked: Linux or macOS. Exit code 1 if a mutant passes that is not in
`EQUIVALENT`.
"""

import argparse
import multiprocessing
import random
import re
import signal
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from ppo_np.course.grading import RIGHT, grade
from ppo_np.course.lesson import WORKED, Lesson, lesson_of, lessons, load

SETTINGS = tomllib.loads((Path(__file__).parent / "cosmic-ray.toml").read_text(encoding="utf-8"))
EXCLUDED = SETTINGS["cosmic-ray"]["filters"]["operators-filter"]["exclude-operators"]
SECONDS = 10  # for one mutant
SEEDS = (1, 2)

# Mutants that compute the same: (lesson, the line as it is in the mutant) -> why.
EQUIVALENT: dict[tuple[int, str], str] = {
    (16, "if len(advantages) <= 1:"): "there is always a row",
    (18, "factor = max_norm / norm if norm >= max_norm else 1.0"): "1 if they are equal",
}


def mutants(lesson: Lesson) -> Iterator[tuple[str, str]]:
    """(the changed line, the whole mutated text) of each mutant of the worked functions."""
    seen = {lesson.source}
    for name in operator_names():
        if any(re.fullmatch(pattern, name) for pattern in EXCLUDED):
            continue
        operator_class = get_operator(name)
        occurrence = 0
        while not operator_class.arguments() and (mutated := mutate_code(lesson.source, operator_class(), occurrence)):
            occurrence += 1
            if mutated not in seen:
                seen.add(mutated)
                yield changed_line(lesson.source, mutated), mutated


def changed_line(source: str, mutated: str) -> str:
    """The first line that differs, as it is in the mutant."""
    pairs = zip(source.splitlines(), mutated.splitlines(), strict=False)
    return next((new.strip() for old, new in pairs if old != new), "(lines added or removed)")


def passes(name: str, source: str) -> bool:
    """Whether a file with this text passes the lesson at all seeds, and in time."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        mine = load(source, "mutant.py", [WORKED])
        outcomes = [outcome for seed in SEEDS for outcome in grade(Lesson(name), mine, seed, "mutant.py")]
        return all(outcome.state == RIGHT for outcome in outcomes)
    except Exception:
        return False
    finally:
        signal.alarm(0)


def _too_long(*_: object) -> None:
    raise TimeoutError


def survivors(lesson: Lesson, sample: int) -> tuple[list[str], int]:
    """The changed lines of the mutants that pass, and the number of mutants that were tried."""
    made = list(mutants(lesson))
    made = random.Random(lesson.name).sample(made, min(len(made), sample)) if sample else made
    lines, texts = zip(*made, strict=True)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        passed = pool.starmap(passes, [(lesson.name, text) for text in texts], chunksize=1)
    alive = [line for line, through in zip(lines, passed, strict=True) if through]
    return [line for line in alive if (lesson.number, line) not in EQUIVALENT], len(texts)


def main() -> int:
    """Try all mutants and print the survivors."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lessons", nargs="*")
    parser.add_argument("--sample", type=int, default=0)
    options = parser.parse_args()
    chosen = [lesson_of(text) for text in options.lessons] or [one for one in lessons().values() if one.has_functions]
    start, total, alive = time.perf_counter(), 0, 0
    for lesson in chosen:
        found, count = survivors(lesson, options.sample // len(chosen))
        total, alive = total + count, alive + len(found)
        print(f"lesson {lesson.number}: {count} mutants, {len(found)} passed", flush=True)
        for line in found:
            print(f"    {line}", flush=True)
    print(f"{total} mutants, {alive} passed, {time.perf_counter() - start:.0f} s")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
