"""Which kills: at each system call that writes a checkpoint, at some of other files, by signals, at random instants."""

import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace

from at_system_call import EVENTS, WHEN, Point
from trial import Kill, Scenario, Setting

from ppo_np.logs.filenames import BEST, CHECKPOINT, EVALUATIONS, METRICS

Calls = Mapping[str, Sequence[Sequence[str]]]
A_SAVE = 2  # the first checkpoint of a run, number 0, has none before it; all others are written like this one
AN_UPDATE = 0.05  # seconds, about, with its part of a checkpoint
A_START = 2.0  # seconds, about, until a process trains
CHECKPOINT_CALLS, OTHER_CALLS = "a system call of the checkpoint", "a system call of another file"
RESUMING, SEVERAL, WORKERS = "while a run is resumed", "three times in one run", "random instant, with workers"
ONE_SIGNAL, BATCH, INSTANT = "SIGTERM or SIGINT", "SIGTERM, then SIGKILL", "random instant"
KINDS = (CHECKPOINT_CALLS, OTHER_CALLS, RESUMING, SEVERAL, ONE_SIGNAL, BATCH, INSTANT, WORKERS)


def scenarios(count: int, rng: random.Random, settings: Sequence[Setting], calls: Mapping[Setting, Calls]) -> list:
    """So many scenarios for some settings: all fixed ones, as far as there is room, and random instants."""
    fixed = [one for setting in settings for one in _fixed(setting, calls[setting], rng)]
    rng.shuffle(fixed)
    chosen = fixed[:count]
    for number in range(count - len(chosen)):
        setting = settings[number % len(settings)]
        if number // len(settings) % 4 == 3:
            chosen.append(Scenario(WORKERS, replace(setting, vectorization="async"), [_instant(setting, rng)]))
        else:
            chosen.append(Scenario(INSTANT, setting, [_instant(setting, rng)]))
    return chosen


def _fixed(setting: Setting, calls: Calls, rng: random.Random) -> list[Scenario]:
    """The scenarios that are to be there whatever the number of trials."""
    found = [Scenario(CHECKPOINT_CALLS, setting, [Kill(point=str(p))]) for p in checkpoint_points(setting, calls, rng)]
    found += [Scenario(OTHER_CALLS, setting, [Kill(point=str(p))]) for p in _other_points(setting, rng)]
    for point in (Point(METRICS, 1, 2, "write", "half"), Point(METRICS, 1, 5, "replace", "before")):
        found.append(Scenario(RESUMING, setting, [_instant(setting, rng), Kill(point=str(point))]))
    for _ in range(3):
        found.append(Scenario(SEVERAL, setting, _three(setting, rng)))
        found.append(Scenario(BATCH, setting, [_stop(setting, rng, signal.SIGTERM, signal.SIGKILL)]))
    for number in 2 * (signal.SIGTERM, signal.SIGINT):
        found.append(Scenario(ONE_SIGNAL, setting, [_stop(setting, rng, number)]))
    return found


def checkpoint_points(setting: Setting, calls: Calls, rng: random.Random) -> list[Point]:
    """Before and after each system call of a checkpoint's writing, and within its write; of a random checkpoint."""
    saves = setting.updates // setting.checkpoint_every
    return [
        Point(CHECKPOINT, rng.randint(2, saves), number, name, when)
        for number, name in enumerate(calls[CHECKPOINT][A_SAVE], 1)
        for when in WHEN
        if when != "half" or name == "write"
    ]


def _other_points(setting: Setting, rng: random.Random) -> list[Point]:
    """In the midst of a record of each log, around one of metrics.csv, and in the midst of best.h5."""
    # Records are written by open, fstat, write, close. Later writings of the first three are records all.
    updates = setting.updates - 4
    points = [Point(METRICS, rng.randint(3, updates), 3, "write", when) for when in WHEN]
    points.append(Point(EVENTS, rng.randint(3, updates), 3, "write", "half"))
    points.append(Point(EVALUATIONS, rng.randint(3, setting.updates // setting.eval_every), 3, "write", "half"))
    return [*points, Point(BEST, 1, 2, "write", "half")]


def _instant(setting: Setting, rng: random.Random, first: int = 0) -> Kill:
    return Kill(update=rng.randrange(first, setting.updates - 2), delay=rng.uniform(0, AN_UPDATE))


def _three(setting: Setting, rng: random.Random) -> list[Kill]:
    """A kill in the first half, one while the process starts or soon after, and one in the second half."""
    half = setting.updates // 2
    first = Kill(update=rng.randrange(half), delay=rng.uniform(0, AN_UPDATE))
    return [first, Kill(delay=rng.uniform(0, 1.5 * A_START)), _instant(setting, rng, half)]


def _stop(setting: Setting, rng: random.Random, *numbers: int) -> Kill:
    """A request to stop, perhaps with a kill soon after."""
    signals = tuple((number, rng.uniform(0, AN_UPDATE)) for number in numbers)
    return replace(_instant(setting, rng), signals=signals)
