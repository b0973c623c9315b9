"""Experiment trackers: the scalars of a run in Weights & Biases or in MLflow, too.

A tracker is only for show. Whatever it raises is an incident, and training goes on.
"""

import json
import logging
import math
import os
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ppo_np.logs.filenames import TRACK
from ppo_np.logs.incidents import Incidents
from ppo_np.saving.files import write_whole

EVERY = 10.0  # seconds between two times at which scalars are sent
PAUSE = 30.0  # seconds until the next attempt after a failure
KEPT = 10_000  # rows that are kept while they cannot be sent; older ones are lost
Row = tuple[dict[str, float], int]  # numbers by their tags, and the environment step


class Tracker:
    """Sends scalars to a tool. A class for each tool has `_open`, `_send` and `_finish`, which may raise anything.

    The tool's run is opened when there is something to send. Its id is kept in the run folder (track.json), so that a
    resumed run continues it.

    Args:
        folder: the run folder.
        settings: shown beside the run, by name.
        incidents: records when the tool fails and when it works again.

    Attributes:
        name: of the tool in an incident.
    """

    tool = ""

    def __init__(self, folder: Path, settings: Mapping[str, Any], incidents: Incidents):
        self.name = f"the run in {self.tool}"
        self._folder = folder.absolute()  # an environment may change the working directory
        self._settings, self._incidents = dict(settings), incidents
        self._pending: deque[Row] = deque(maxlen=KEPT)
        self._opened, self._failure = False, OSError()
        self._next, self._retry = 0.0, 0.0  # by time.monotonic()

    def log_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Send numbers by their tags, without those that are not finite, at an environment step, now or soon."""
        self._pending.append(({tag: float(x) for tag, x in values.items() if math.isfinite(x)}, step))
        if time.monotonic() >= max(self._next, self._retry):
            with self._incidents.of(self.name):
                self.sync()

    def sync(self) -> None:
        """Send what has not been sent. Raises OSError if that fails, or has failed less than 30 s ago."""
        if not self._pending:
            return
        if time.monotonic() < self._retry:
            raise self._failure
        try:
            with _as_os_error():
                if not self._opened:
                    self._open()
                    self._opened = True
                self._send(list(self._pending))
        except OSError as error:
            self._failure, self._retry = error, time.monotonic() + PAUSE
            raise
        self._pending.clear()
        self._next = time.monotonic() + EVERY

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Send the rest and end the tool's run, as failed if there was an exception."""
        self._retry = 0.0
        with self._incidents.of(self.name):
            self.sync()
            if self._opened:
                with _as_os_error():
                    self._finish(failed=error is not None)

    def _open(self) -> None:
        """Begin the tool's run, or continue it."""
        raise NotImplementedError

    def _send(self, rows: Sequence[Row]) -> None:
        """Give rows to the tool."""
        raise NotImplementedError

    def _finish(self, failed: bool) -> None:
        """End the tool's run."""
        raise NotImplementedError

    def _kept_id(self) -> str | None:
        """The id of the tool's run that the folder has; None if there is none."""
        try:
            kept = json.loads((self._folder / TRACK).read_bytes())[self.tool]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return kept if isinstance(kept, str) else None

    def _keep_id(self, value: str) -> None:
        write_whole(self._folder / TRACK, (json.dumps({self.tool: value}) + "\n").encode())


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Turn any exception of a tool into an OSError with the first line of its message."""
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise OSError(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__) from error


class WandbTracker(Tracker):
    """Weights & Biases. Its own environment variables hold: WANDB_MODE=offline, WANDB_PROJECT, WANDB_ENTITY, ...

    The files of an offline run are in the run folder; `wandb sync RUN/wandb/offline-run-*` uploads them.
    """

    tool = "wandb"

    def _open(self) -> None:
        import wandb

        kept = self._kept_id()
        name = kept or secrets.token_hex(4)
        if not kept:
            self._keep_id(name)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "ppo_np"), id=name, name=self._folder.name, dir=self._folder,
            config=self._settings, resume="allow", allow_val_change=True,
            settings=wandb.Settings(console="off", silent=True),
        )  # fmt: skip

    def _send(self, rows: Sequence[Row]) -> None:
        for values, step in rows:
            self._run.log(values, step=step)

    def _finish(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class MlflowTracker(Tracker):
    """MLflow. MLFLOW_TRACKING_URI says where; without it, it is mlflow.db in the run folder.

    The experiment is MLFLOW_EXPERIMENT_NAME, or else the environment's id.
    """

    tool = "mlflow"

    def _open(self) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # its own 7 can stop training for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow import MlflowClient
        from mlflow.entities import Param

        for name in ("alembic", "mlflow"):  # they tell of each step in the making of a database
            logging.getLogger(name).setLevel(logging.ERROR)
        local = None if os.environ.get("MLFLOW_TRACKING_URI") else f"sqlite:///{self._folder / 'mlflow.db'}"
        self._client = MlflowClient(local)
        self._last: dict[str, int] = {}
        if kept := self._kept_id():
            self._id = kept
            for tag in self._client.get_run(kept).data.metrics:
                self._last[tag] = max(one.step for one in self._client.get_metric_history(kept, tag))
            self._client.update_run(kept, status="RUNNING")
            return
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._settings.get("env_id") or "ppo_np"
        found = self._client.get_experiment_by_name(experiment)
        files = (self._folder / "mlflow").as_uri() if local else None
        number = found.experiment_id if found else self._client.create_experiment(experiment, files)
        self._id = self._client.create_run(number, run_name=self._folder.name).info.run_id
        self._keep_id(self._id)
        settings = [Param(name, str(value)[:6000]) for name, value in self._settings.items()]  # MLflow's longest text
        self._client.log_batch(self._id, params=settings)

    def _send(self, rows: Sequence[Row]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        new = [
            Metric(tag, value, now, step)
            for values, step in rows
            for tag, value in values.items()
            if step > self._last.get(tag, -1)  # a resumed run repeats what came after its checkpoint
        ]
        for start in range(0, len(new), 1000):  # MLflow takes no more at once
            self._client.log_batch(self._id, new[start : start + 1000])
        self._last |= {metric.key: metric.step for metric in new}

    def _finish(self, failed: bool) -> None:
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


TRACKERS = {tracker.tool: tracker for tracker in (WandbTracker, MlflowTracker)}
