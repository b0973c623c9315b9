"""When a run writes its checkpoint."""

import time
from collections.abc import Mapping
from pathlib import Path

from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import CHECKPOINT
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.run_logs import LogFile
from ppo_np.running.interval import Interval


class Saver:
    """Writes checkpoint.h5 at an interval and keeps the previous one as checkpoint.prev.h5.

    Args:
        ppo: the training to save.
        folder: the run folder.
        every: the interval.
        logs: synced before each checkpoint, so that a checkpoint is never newer than the logs; empty on ranks > 0.
        incidents: records files that cannot be written.
    """

    def __init__(
        self, ppo: PPO, folder: Path, every: Interval, logs: Mapping[Path | str, LogFile], incidents: Incidents
    ):
        self._ppo, self._path, self._every = ppo, folder / CHECKPOINT, every
        self._logs, self._incidents = logs, incidents
        self._last = time.monotonic()

    def after_update(self) -> None:
        """Save if the interval is over by the clock of rank 0; all ranks must call this."""
        if self._every.updates:
            due = self._ppo.update % self._every.updates == 0
        else:
            due = time.monotonic() - self._last >= self._every.seconds
        if self._ppo.ranks.broadcast(lambda: due):  # clocks differ
            self.save()

    def save(self) -> None:
        """Save now; the incidents record a failure."""
        for path, log in self._logs.items():
            with self._incidents.of(path):
                log.sync()
        with self._incidents.of(self._path):
            self._ppo.save(self._path, keep_previous=True)
        self._last = time.monotonic()
