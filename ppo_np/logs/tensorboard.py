"""TensorBoard event files, written record by record, so that a resumed run can cut and continue them.

A file is a sequence of records: length (8 bytes), its checksum (4), an Event in protocol buffers, its checksum (4).
"""

import math
import re
import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError

from ppo_np.learning.metrics import LOSS_NAMES, Metrics
from ppo_np.logs.filenames import EVENTS_PREFIX
from ppo_np.logs.trackers import Tracker
from ppo_np.saving.files import AppendFile

# tensorboardX imports torch if it is installed, which takes longer than everything else at the start.
sys.modules.setdefault("torch", None)  # type: ignore[arg-type]  # None stops the import, but typeshed wants a module
try:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import masked_crc32c
finally:
    if sys.modules["torch"] is None:
        del sys.modules["torch"]

EVENTS = "the TensorBoard events"
NAME = re.compile(re.escape(EVENTS_PREFIX) + r"([0-9]{1,12})\..*", re.DOTALL)  # of a file that may be ours
CHARTS = ("episodic_return", "episodic_length", "learning_rate", "SPS")
LOSSES = (*LOSS_NAMES, "explained_variance", "grad_norm")
_HEAD, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")


class TensorBoardLogger:
    """Writes a new event file with CleanRL's tags, charts/... and losses/...

    Args:
        folder: the folder of the event files, new and old. Files with names that a run does not give stay as they are.
        last_step: events of later steps are removed from the old files first.
        repeated_tags: events of `last_step` whose tags begin with this are removed too, because they are written again.

    Attributes:
        followers: trackers that get the same scalars.

    Raises OSError if the file cannot be created.
    """

    def __init__(self, folder: Path, last_step: int = 0, repeated_tags: str | None = None):
        names = {path: NAME.fullmatch(path.name) for path in folder.iterdir()}
        older = {path: int(name[1]) for path, name in names.items() if name and path.is_file()}
        for path in older:
            _cut(path, last_step, repeated_tags)
        # TensorBoard reads the files in the order of their names, so the time in the new name must be the latest.
        now = max([int(time.time()), *(seconds + 1 for seconds in older.values())])
        version = _record(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.followers: list[Tracker] = []
        self._file = AppendFile(folder / f"{EVENTS_PREFIX}{now}.{socket.gethostname()}", version)

    def log(self, metrics: Metrics, logged: Mapping[str, float] | None = None) -> None:
        """Write the scalars of one update at its environment step, and other numbers by their names.

        The tag of such a number is its name if that has a slash, else charts/name.

        Raises OSError if they cannot be written now. They are kept, and written together with the next ones.
        """
        tags = {f"charts/{name}": name for name in CHARTS} | {f"losses/{name}": name for name in LOSSES}
        others = {name if "/" in name else f"charts/{name}": value for name, value in (logged or {}).items()}
        self.log_scalars({tag: getattr(metrics, name) for tag, name in tags.items()} | others, metrics.step)

    def log_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write scalars by their tags at an environment step, without NaN; raises as `log`."""
        for follower in self.followers:
            follower.log_scalars(values, step)
        scalars = [Summary.Value(tag=tag, simple_value=x) for tag, x in values.items() if not math.isnan(x)]
        self._file.append(_record(Event(wall_time=time.time(), step=step, summary=Summary(value=scalars))))

    def sync(self) -> None:
        """Force the file to disk. Raises OSError if that fails."""
        self._file.sync()


def _record(event: Event) -> bytes:
    data = event.SerializeToString()
    head = _HEAD.pack(len(data))
    return head + _checksum(head) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    return _CHECKSUM.pack(masked_crc32c(data))


def _cut(path: Path, last_step: int, repeated_tags: str | None) -> None:
    """Cut an event file before its first event to be removed, or before an incomplete record."""
    data, end = path.read_bytes(), 0
    for event, after in read_events(data):
        tags = [value.tag for value in event.summary.value]
        repeated = repeated_tags and event.step == last_step and any(tag.startswith(repeated_tags) for tag in tags)
        if event.step > last_step or repeated:
            break
        end = after
    if end < len(data):
        with open(path, "r+b") as file:
            file.truncate(end)


def read_events(data: bytes) -> Iterator[tuple[Event, int]]:
    """The complete records of an event file: each event, and the position of the end of its record."""
    start = 0
    while start + 12 <= len(data):
        head = data[start : start + 8]
        body = data[start + 12 : start + 12 + _HEAD.unpack(head)[0]]
        end = start + 12 + len(body) + 4
        if data[start + 8 : start + 12] != _checksum(head) or data[end - 4 : end] != _checksum(body):
            return
        try:
            yield Event.FromString(body), end
        except DecodeError:
            return
        start = end
