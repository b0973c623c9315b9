"""When a run writes its checkpoint, and what becomes of it if that fails."""

import time
from pathlib import Path
from typing import Protocol

from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import CHECKPOINT
from ppo_np.logs.incidents import Incidents
from ppo_np.running.interval import Interval


class Log(Protocol):
    """What is forced to disk before a checkpoint, so that this never knows more than the logs."""

    def sync(self) -> None:
        """Write everything, or raise OSError."""


class Saver:
    """Writes checkpoint.h5 at an interval and keeps the one before as checkpoint.prev.h5.

    Args:
        ppo: that is being trained.
        folder: of the run.
        every: the interval.
        logs: are forced to disk before each checkpoint; none on other ranks than 0.
        incidents: what cannot be written is told to.
    """

    def __init__(self, ppo: PPO, folder: Path, every: Interval, logs: dict[Path, Log], incidents: Incidents):
        self._ppo, self._path, self._every = ppo, folder / CHECKPOINT, every
        self._logs, self._incidents = logs, incidents
        self._last = time.monotonic()

    def after_update(self) -> None:
        """Save if it is time, by the clock of rank 0; all ranks must call it."""
        if self._every.updates:
            due = self._ppo.update % self._every.updates == 0
        else:
            due = time.monotonic() - self._last >= self._every.seconds
        if self._ppo.ranks.broadcast(lambda: due):  # clocks differ
            self.save()

    def save(self) -> None:
        """Save now; that it failed is known to the incidents."""
        for path, log in self._logs.items():
            with self._incidents.of(path):
                log.sync()
        with self._incidents.of(self._path):
            self._ppo.save(self._path, keep_previous=True)
        self._last = time.monotonic()
