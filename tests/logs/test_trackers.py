"""Trackers: what fails is an incident, nothing is lost for that, and wandb and mlflow get what metrics.csv has.

The tests of the tools themselves need `pip install ".[wandb,mlflow]"` and run with `pytest -m trackers`. They skip
where a tool is not installed, unless PPO_NP_REQUIRE_TRACKERS=1 is set.
"""

import csv
import importlib.util
import json
import math
import os
import struct
import subprocess
import sys

import pytest
from commands import run

from ppo_np.logs import trackers
from ppo_np.logs.filenames import METRICS, TRACK
from ppo_np.logs.incidents import Incidents
from ppo_np.logs.tensorboard import TensorBoardLogger
from ppo_np.logs.trackers import Tracker
from ppo_np.running import cli
from ppo_np.train import main


class Recorder(Tracker):
    """A tool that fails as long as `broken` says so, on a clock of the test's."""

    tool = "recorder"
    broken = False

    def __init__(self, folder):
        self.told, self.done = [], []
        super().__init__(folder, {"gamma": 0.9}, Incidents(self.told.append))

    def _open(self):
        self._do("open")

    def _send(self, rows):
        self._do(rows)

    def _finish(self, failed):
        self._do(("finish", failed))

    def _do(self, what):
        if self.broken:
            raise RuntimeError("the server\nis away")
        self.done.append(what)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("ppo_np.logs.trackers.time.monotonic", lambda: now[0])
    return now


def test_rows_are_sent_at_once_then_every_ten_seconds_and_at_the_end(tmp_path, clock):
    with Recorder(tmp_path) as tracker:
        tracker.log_scalars({"a": 1.0, "nothing": math.nan, "much": math.inf}, 1)
        assert tracker.done == ["open", [({"a": 1.0}, 1)]]
        clock[0] += 9
        tracker.log_scalars({"a": 2.0}, 2)
        assert len(tracker.done) == 2
        clock[0] += 2
        tracker.log_scalars({"a": 3.0}, 3)
        assert tracker.done[2:] == [[({"a": 2.0}, 2), ({"a": 3.0}, 3)]]
        tracker.log_scalars({"a": 4.0}, 4)
    assert tracker.done[3:] == [[({"a": 4.0}, 4)], ("finish", False)]
    assert tracker.told == []


def test_a_tool_that_fails_is_one_incident_and_gets_everything_later(tmp_path, clock):
    tracker = Recorder(tmp_path)
    tracker.broken = True
    for step in (1, 2, 3):
        tracker.log_scalars({"a": 1.0}, step)
        clock[0] += 1
    sentence = (
        "the run in recorder cannot be written (RuntimeError: the server): training continues and will try again."
    )
    assert tracker.told == [sentence]
    with pytest.raises(OSError, match="RuntimeError: the server"):  # before a checkpoint, without an attempt
        tracker.sync()
    tracker.broken = False
    clock[0] += 30
    tracker.log_scalars({"a": 1.0}, 4)
    assert tracker.done == ["open", [({"a": 1.0}, step) for step in (1, 2, 3, 4)]]
    tracker.sync()
    assert tracker.told == [sentence]


def test_a_tool_that_always_fails_raises_nothing_and_keeps_the_last_rows(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(trackers, "KEPT", 3)
    with Recorder(tmp_path) as tracker:
        tracker.broken = True
        for step in range(10):
            tracker.log_scalars({"a": 1.0}, step)
    assert len(tracker.told) == 1
    assert tracker.done == []
    assert [step for _, step in tracker._pending] == [7, 8, 9]


def test_an_exception_of_the_run_marks_the_tools_run_as_failed(tmp_path):
    tracker = Recorder(tmp_path)
    with pytest.raises(ZeroDivisionError), tracker:
        tracker.log_scalars({"a": 1.0}, 1)
        _ = 1 / 0
    assert tracker.done[-1] == ("finish", True)


def test_a_run_that_has_sent_nothing_opens_nothing(tmp_path):
    with Recorder(tmp_path) as tracker:
        tracker.sync()
    assert tracker.done == []
    assert list(tmp_path.iterdir()) == []


def test_the_id_is_kept_in_the_run_folder(tmp_path):
    Recorder(tmp_path)._keep_id("abc")
    assert Recorder(tmp_path)._kept_id() == "abc"
    for damage in (b"", b"[]", b'{"recorder": 1}', b"\xff"):
        (tmp_path / TRACK).write_bytes(damage)
        assert Recorder(tmp_path)._kept_id() is None


def test_a_tracker_gets_what_tensorboard_gets(tmp_path):
    log, tracker = TensorBoardLogger(tmp_path), Recorder(tmp_path)
    log.followers.append(tracker)
    log.log_scalars({"eval/mean_return": 2.5}, 7)
    assert tracker.done == ["open", [({"eval/mean_return": 2.5}, 7)]]


@pytest.mark.parametrize("tool", ["wandb", "mlflow"])
def test_a_missing_extra_is_named(tmp_path, capsys, monkeypatch, tool):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(main, "--preset", "cartpole", "--track", tool, "--run-dir", tmp_path / "run") == cli.BAD_ARGUMENTS
    sentence = f"error: --track {tool} needs {tool}, which is not installed: pip install 'ppo_np[{tool}]'.\n"
    assert capsys.readouterr().err == sentence
    assert not (tmp_path / "run").exists()


def need(tool):
    """Skip the test if a tool is not installed, or fail with PPO_NP_REQUIRE_TRACKERS=1."""
    if importlib.util.find_spec(tool) is None:
        if os.environ.get("PPO_NP_REQUIRE_TRACKERS") == "1":
            pytest.fail(f"PPO_NP_REQUIRE_TRACKERS is 1, but {tool} is not installed")
        pytest.skip(f"{tool} is not installed")


def trained(*arguments, code=0, **variables):
    """What `train` prints to standard error."""
    command = [sys.executable, "-m", "ppo_np.train", *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stderr


SHORT = ["--env-id", "CartPole-v1", "--policy-sizes", "8", "--value-sizes", "8", "--eval-every", "4", "--eval-episodes"]


def tracked_and_resumed(tool, folder, **variables):
    """A run of 8 updates that is tracked, and then of 4 more. Returns the rows of metrics.csv."""
    need(tool)
    start = ["--total-timesteps", 8 * 256, "--track", tool, "--run-dir", folder]
    assert trained(*SHORT, "1", *start, **variables) == ""
    assert trained("--resume", folder, "--total-timesteps", 4 * 256, **variables) == ""
    with open(folder / METRICS, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    return rows


@pytest.mark.trackers
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::FutureWarning")
def test_mlflow_gets_the_run_and_its_resumed_part(tmp_path):
    rows = tracked_and_resumed("mlflow", tmp_path / "run", MLFLOW_TRACKING_URI="", MLFLOW_EXPERIMENT_NAME="")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'CartPole-v1'")
    (found,) = client.search_runs([experiment.experiment_id])
    assert json.loads((tmp_path / "run" / TRACK).read_text()) == {"mlflow": found.info.run_id}
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert found.data.params["policy_sizes"] == "[8]"
    history = client.get_metric_history(found.info.run_id, "losses/entropy")
    assert [(one.step, one.value) for one in history] == [(int(row["step"]), float(row["entropy"])) for row in rows]
    evaluations = client.get_metric_history(found.info.run_id, "eval/mean_return")
    assert [one.step for one in evaluations] == [4 * 256, 8 * 256, 12 * 256]


@pytest.mark.trackers
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::FutureWarning")
def test_mlflow_gets_no_row_twice(tmp_path):
    need("mlflow")
    told = []
    for steps in (range(1, 6), range(3, 8)):  # the second run goes on from a checkpoint at step 2
        with trackers.MlflowTracker(tmp_path, {"env_id": "x"}, Incidents(told.append)) as tracker:
            for step in steps:
                tracker.log_scalars({"a": float(step)}, step)
    history = tracker._client.get_metric_history(tracker._id, "a")
    assert [(one.step, one.value) for one in history] == [(step, step) for step in range(1, 8)]
    assert told == []


def records_of(data):
    """The records of wandb's file of an offline run: LevelDB's log format after a head of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    place, parts = 7, []
    while place + 7 <= len(data):
        if place % 32768 > 32768 - 7:  # the rest of a block is padding
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(b"".join(parts))
            parts = []


@pytest.mark.trackers
def test_wandb_gets_the_run_and_its_resumed_part(tmp_path):
    rows = tracked_and_resumed("wandb", tmp_path / "run", WANDB_MODE="offline")
    number = json.loads((tmp_path / "run" / TRACK).read_text())["wandb"]
    files = sorted((tmp_path / "run" / "wandb").glob(f"offline-run-*-{number}/run-{number}.wandb"))
    assert len(files) == 2
    found, evaluated = {}, []
    for file in files:
        for record in records_of(file.read_bytes()):
            if record.WhichOneof("record_type") == "history":
                items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
                step = record.history.step.num
                found |= {step: float(items["losses/entropy"])}
                evaluated += [step] * ("eval/mean_return" in items)
            elif record.WhichOneof("record_type") == "run":
                assert (record.run.run_id, record.run.display_name, record.run.project) == (number, "run", "ppo_np")
    assert found == {int(row["step"]): float(row["entropy"]) for row in rows}
    assert evaluated == [4 * 256, 8 * 256, 12 * 256]


@pytest.mark.trackers
@pytest.mark.parametrize(
    ("tool", "variables"),
    [
        ("wandb", {"WANDB_MODE": "online", "WANDB_API_KEY": "", "WANDB_CONFIG_DIR": "/dev/null", "HOME": "/dev/null"}),
        ("mlflow", {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}),
    ],
)
def test_a_tool_that_cannot_be_reached_ends_no_run(tmp_path, tool, variables):
    need(tool)
    folder = tmp_path / "run"
    start = ["--total-timesteps", 8 * 256, "--track", tool, "--run-dir", folder]
    text = trained(*SHORT, "1", *start, code=1, **variables)
    assert f"warning: the run in {tool} cannot be written (" in text
    assert f"error: the run in {tool} could not be written: " in text.splitlines()[-1]
    assert (folder / METRICS).read_text().count("\n") == 1 + 8
    assert (folder / "checkpoint.h5").exists()
