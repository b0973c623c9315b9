"""Mutation testing of the course: change one thing in a worked function at a time, and see whether the grading notices.

    python tests/mutation/course.py                     # all lessons
    python tests/mutation/course.py 3 6                 # these lessons
    python tests/mutation/course.py --sample 60         # the same 60 mutants each time, as in CI

The mutants are those of `mutants.py`. Each one is graded as if a learner had written it, in a process of its own that
is forked: Linux or macOS. Exit code 1 if a mutant passes that is not in `EQUIVALENT`.
"""

import argparse
import multiprocessing
import random
import signal
import sys
import time

from mutants import changed_line, mutant, places

from ppo_np.course.grading import RIGHT, grade
from ppo_np.course.lesson import WORKED, Lesson, lesson_of, lessons, load

SECONDS = 10  # for one mutant
SEEDS = (1, 2)

# Mutants that compute the same: (lesson, the line as it is in the mutant) -> why.
EQUIVALENT: dict[tuple[int, str], str] = {
    (2, "passes = h != 0"): "the output of ReLU is never negative",
    (9, "dones = terminations + truncations"): "booleans",
    (11, "slope = np.where(too_high + too_low, 0, slope)"): "booleans",
    (11, "too_high = (r > 1 + clip_coef) * (advantages > 0)"): "booleans",
    (11, "too_low = (r < 1 - clip_coef) * (advantages < 0)"): "booleans",
    (11, "too_high = (r > 1 + clip_coef) // (advantages > 0)"): "booleans, and x // 0 is 0 for integers",
    (11, "too_low = (r < 1 - clip_coef) // (advantages < 0)"): "booleans, and x // 0 is 0 for integers",
    (11, "too_high = (r > 1 + clip_coef) & (advantages >= 0)"): "the slope is 0 for A = 0",
    (11, "too_low = (r < 1 - clip_coef) & (advantages <= 0)"): "the slope is 0 for A = 0",
    (11, "return np.where(unclipped_loss > clipped_loss, unclipped_loss, clipped_loss).mean()"): "equal numbers",
    (12, "clipped_error = old_values + clip_coef / np.sign(change) - returns"): "1 / 1 and 1 / -1; not read for 0",
    (12, "flat = outside * (abs(clipped_error) > abs(error))"): "booleans",
    (12, "flat = outside // (abs(clipped_error) > abs(error))"): "booleans, and x // 0 is 0 for integers",
    (12, "error = np.where(flat * clip_vloss, 0, error)"): "booleans",
    (12, "error = np.where(flat // clip_vloss, 0, error)"): "booleans, and x // 0 is 0 for integers",
    (12, "squares = np.where(clipped_squares >= squares, clipped_squares, squares)"): "equal numbers",
    (12, "outside = abs(change) >= clip_coef"): "on the edge both errors are equal, so it is not flat",
    (13, "dentropies = -dloss * ent_coef / len(logprobs) / np.ones(len(logprobs))"): "x / 1",
    (13, "dentropies = -dloss * ent_coef / len(logprobs) ** np.ones(len(logprobs))"): "B ** 1",
    (13, "return policy_outputs[-1], value_outputs[-1][:, -1], (shared_outputs, policy_outputs, value_outputs)"): (
        "there is one column"
    ),
    (19, 'rollout["final_values"][t, n] = act(final_obs[None])[2][ -1]'): "there is one row",
    (16, "if len(advantages) <= 1:"): "there is always a row",
    (21, "finite = np.where(mask, log_probs, 1)"): "p is 0 there",
    (21, "finite = np.where(mask, log_probs, -1)"): "p is 0 there",
    (18, "factor = max_norm / norm if norm >= max_norm else 1.0"): "1 if they are equal",
    **dict.fromkeys(
        [
            (
                11,
                "clipped = np.where(r > 1 + clip_coef, 1 + clip_coef, np.where(r <= 1 - clip_coef, 1 - clip_coef, r))",
            ),
            (
                11,
                "clipped = np.where(r >= 1 + clip_coef, 1 + clip_coef, np.where(r < 1 - clip_coef, 1 - clip_coef, r))",
            ),
            (12, "moved = np.where(change > clip_coef, clip_coef, np.where(change <= -clip_coef, -clip_coef, change))"),
            (12, "moved = np.where(change >= clip_coef, clip_coef, np.where(change < -clip_coef, -clip_coef, change))"),
        ],
        "on the edge both are the edge",
    ),
}


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
    chosen = places(lesson.source)
    chosen = random.Random(lesson.name).sample(chosen, min(len(chosen), sample)) if sample else chosen
    texts = [mutant(lesson.source, *place) for place in chosen]
    lines = [changed_line(lesson.source, text)[1] for text in texts]
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
