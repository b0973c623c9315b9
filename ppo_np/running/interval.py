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
        parts = re.fullmatch(r"([0-9]{1,15})(\.[0-9]{1,15})?(s?)", text)
        number = float(f"{parts[1]}{parts[2] or ''}") if parts and (parts[3] or not parts[2]) else 0
        check(number > 0, "checkpoint_every", text, "a number of updates >= 1, like 100, or of seconds, like 30s")
        return cls(seconds=number) if text.endswith("s") else cls(updates=int(number))
