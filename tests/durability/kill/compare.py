"""What a run has left, compared with another one bit for bit; only what tells of time may differ."""

import csv
from pathlib import Path

from ppo_np.errors import UserError
from ppo_np.logs.filenames import BEST, CHECKPOINT, EVALUATIONS, EVENTS_PREFIX, METRICS
from ppo_np.logs.tensorboard import read_events
from ppo_np.saving.checkpoint import FORMAT, FORMAT_VERSION, previous_of, read_checkpoint, read_sealed

TIMES = {"wall_time", "SPS", "time_env", "time_inference", "time_update"}
TIMELY_TAG, TIMELY_ARRAY = "charts/SPS", "counters/wall_time"


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two run folders, by name; empty if they are the same run."""
    found = [f"{name}: {what}" for name in (CHECKPOINT, BEST) for what in _sealed_differences(one / name, other / name)]
    found += [name for name in (METRICS, EVALUATIONS) if rows(one / name) != rows(other / name)]
    if events(one) != events(other):
        found.append("TensorBoard events")
    return found + [f"{left.name} is left" for left in other.glob(".*.tmp")]


def damage(folder: Path) -> str:
    """What is wrong with a folder's checkpoint and the one before it, the latter only if there is one."""
    latest = folder / CHECKPOINT
    try:
        update = read_checkpoint(latest).counters["update"]
        if previous_of(latest).exists() and read_checkpoint(previous_of(latest)).counters["update"] > update:
            return "the checkpoint before the last one is younger"
    except UserError as error:
        return str(error)
    return ""


def _sealed_differences(one: Path, other: Path) -> list[str]:
    """Names of the arrays and attributes that are not the same in two of our HDF5 files."""
    first, second = _sealed(one), _sealed(other)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def _sealed(path: Path) -> dict:
    if not path.exists():
        return {}
    arrays, attributes = read_sealed(path, "checkpoint", FORMAT, FORMAT_VERSION)
    numbers = {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items() if name != TIMELY_ARRAY}
    return numbers | attributes


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file without the columns that tell of time; none if it is not there."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{name: cell for name, cell in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def events(folder: Path) -> list[tuple[str, int, float]]:
    """(tag, step, value) of all scalars in a folder's event files, in the order in which TensorBoard reads them."""
    return [
        (value.tag, event.step, value.simple_value)
        for path in sorted(folder.glob(f"{EVENTS_PREFIX}*"))
        for event, _ in read_events(path.read_bytes())
        for value in event.summary.value
        if value.tag != TIMELY_TAG
    ]
