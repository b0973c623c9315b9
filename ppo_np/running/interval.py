"""The time between two checkpoints, in updates or in seconds."""

import re
from dataclasses import dataclass

from ppo_np.errors import check


@dataclass(frozen=True)
class Interval:
    """A number of updates or a number of seconds; the other one is 0."""

    updates: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read "100" as 100 updates and "30s" as 30 seconds. Raises UserError for anything else."""
        seconds = re.fullmatch(r"(\d+(?:\.\d+)?)s", text)
        good = (seconds and float(seconds[1]) > 0) or (text.isascii() and text.isdigit() and int(text) > 0)
        check(bool(good), "checkpoint_every", text, "a number of updates >= 1, like 100, or of seconds, like 30s")
        return cls(seconds=float(seconds[1])) if seconds else cls(updates=int(text))
