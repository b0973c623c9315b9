"""When a run writes its checkpoint."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import CHECKPOINT
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.run_logs import LogFile
from ppo_np.running.interval import Interval


@dataclass
class Saver:
    """Writes checkpoint.h5 into a run folder at an interval, and keeps the previous one as checkpoint.prev.h5.

    The logs (none on ranks > 0) are synced before each checkpoint, so that a checkpoint is never newer than the logs.
    """

    ppo: PPO
    folder: Path
    every: Interval
    logs: Mapping[Path | str, LogFile]
    incidents: Incidents

    def __post_init__(self) -> None:
        self._last_save = time.monotonic()

    def after_update(self) -> None:
        """Save if the interval is over by the clock of rank 0; all ranks must call this."""
        if self.every.updates:
            due = self.ppo.update % self.every.updates == 0
        else:
            due = time.monotonic() - self._last_save >= self.every.seconds
        if self.ppo.ranks.broadcast(lambda: due):  # clocks differ
            self.save()

    def save(self) -> None:
        """Save now; the incidents record a failure."""
        for path, log in self.logs.items():
            with self.incidents.of(path):
                log.sync()
        with self.incidents.of(self.folder / CHECKPOINT):
            self.ppo.save(self.folder / CHECKPOINT, keep_previous=True)
        self._last_save = time.monotonic()
