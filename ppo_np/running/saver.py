"""When a run writes its checkpoint."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import CHECKPOINT
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.run_logs import SyncedFile
from ppo_np.running.interval import Interval


@dataclass
class Saver:
    """Writes checkpoint.h5 into a run folder at an interval, and keeps the previous one as checkpoint.prev.h5.

    The other files (none on ranks > 0) are synced before each checkpoint. If a log cannot be written, the checkpoint is
    written all the same, and the missing rows stay in memory: after a kill, the logs end earlier than the checkpoint.
    """

    ppo: PPO
    folder: Path
    every: Interval
    files: Mapping[Path | str, SyncedFile]
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
        for path, file in self.files.items():
            with self.incidents.of(path):
                file.sync()
        with self.incidents.of(self.folder / CHECKPOINT):
            self.ppo.save(self.folder / CHECKPOINT, keep_previous=True)
        self._last_save = time.monotonic()
