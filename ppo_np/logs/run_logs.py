"""All logs of a run together."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from ppo_np.learning.metrics import METRICS_COLUMNS, Metrics
from ppo_np.learning.ppo import PPO
from ppo_np.logs.csv_file import CSVLogger
from ppo_np.logs.filenames import METRICS
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.logger import ConsoleLogger
from ppo_np.logs.tensorboard import EVENTS, TensorBoardLogger
from ppo_np.logs.trackers import TRACKERS, Tracker
from ppo_np.saving.checkpoint import CheckpointFile

SyncedFile = CSVLogger | TensorBoardLogger | CheckpointFile | Tracker


class RunLogs:
    """metrics.csv, the TensorBoard events and the console. Rows and events after the present update are removed.

    Attributes:
        tensorboard: the event file.
        files: files by name, to be synced before a checkpoint: the logs, and what its owner adds.

    `repeated_tags` is as for `TensorBoardLogger`. Raises OSError if a file cannot be created.
    """

    def __init__(self, ppo: PPO, folder: Path, screen: ConsoleLogger, repeated_tags: str | None, incidents: Incidents):
        self._metrics_path = folder / METRICS
        self._incidents, self._screen = incidents, screen
        self._folder, self._settings = folder, ppo.config.to_dict()
        self._metrics = CSVLogger(self._metrics_path, METRICS_COLUMNS, ppo.update, grows=True)
        self.tensorboard = TensorBoardLogger(folder, ppo.global_step, repeated_tags)
        self.files: dict[Path | str, SyncedFile] = {self._metrics_path: self._metrics, EVENTS: self.tensorboard}

    def log(
        self, metrics: Metrics, recent_return: float, recent_length: float, reward_per_step: float,
        logged: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        """Write and show the metrics of an update; see `ConsoleLogger.log`. `logged`: other numbers by name."""
        with self._incidents.of(self._metrics_path):
            self._metrics.log(dataclasses.astuple(metrics), logged)
        with self._incidents.of(EVENTS):
            self.tensorboard.log(metrics, logged)
        self._screen.log(metrics, recent_return, recent_length, reward_per_step)

    def track(self, tool: str) -> Tracker:
        """Send the scalars to an experiment tracker as well, one of `TRACKERS`. It is to be used as a context."""
        tracker = TRACKERS[tool](self._folder, self._settings, self._incidents)
        self.tensorboard.followers.append(tracker)
        self.files[tracker.name] = tracker
        return tracker
