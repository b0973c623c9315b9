"""What is written and shown of each update, together."""

from pathlib import Path

from ppo_np.learning.metrics import METRICS_COLUMNS, Metrics
from ppo_np.learning.ppo import PPO
from ppo_np.logs.filenames import METRICS
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.logger import ConsoleLogger, CSVLogger
from ppo_np.logs.tensorboard import EVENTS, TensorBoardLogger


class RunLogs:
    """metrics.csv, TensorBoard's events, and the screen.

    Args:
        ppo: that is being trained; a run that goes on has its rows and events up to the present update.
        folder: of the run.
        screen: shows where training stands.
        again: events of the present update whose tags begin with this will be written again; None for none.
        incidents: files that cannot be written are told to.

    Attributes:
        tensorboard: the event file.
        files: what is forced to disk before a checkpoint, by name.

    Raises:
        OSError: A file cannot be made.
    """

    def __init__(self, ppo: PPO, folder: Path, screen: ConsoleLogger, again: str | None, incidents: Incidents):
        self._metrics_path, self._incidents, self._screen = folder / METRICS, incidents, screen
        self._metrics = CSVLogger(self._metrics_path, METRICS_COLUMNS, ppo.update)
        self.tensorboard = TensorBoardLogger(folder, ppo.global_step, again)
        self.files = {self._metrics_path: self._metrics, EVENTS: self.tensorboard}

    def log(self, metrics: Metrics, recent_return: float, recent_length: float) -> None:
        """Write and show the metrics of an update; see `ConsoleLogger.log`."""
        with self._incidents.of(self._metrics_path):
            self._metrics.log_metrics(metrics)
        with self._incidents.of(EVENTS):
            self.tensorboard.log(metrics)
        self._screen.log(metrics, recent_return, recent_length)
