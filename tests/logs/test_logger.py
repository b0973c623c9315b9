"""What is written after each update: CSV rows, TensorBoard scalars, console lines."""

import csv
import dataclasses
import io
import math

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ppo_np.environments.stream import Episode
from ppo_np.learning.metrics import METRICS_COLUMNS, Metrics
from ppo_np.learning.rollout import RolloutReport
from ppo_np.logs.csv_file import CSVLogger
from ppo_np.logs.logger import ConsoleLogger
from ppo_np.logs.tensorboard import TensorBoardLogger, read_events

COLUMNS = [
    "update",
    "step",
    "wall_time",
    "SPS",
    "episodes",
    "episodic_return",
    "episodic_length",
    "policy_loss",
    "value_loss",
    "entropy",
    "approx_kl",
    "clipfrac",
    "explained_variance",
    "grad_norm",
    "learning_rate",
    "time_env",
    "time_inference",
    "time_update",
    "environments_reset",
]
TAGS = {
    "charts/SPS", "charts/episodic_length", "charts/episodic_return", "charts/learning_rate",
    "losses/approx_kl", "losses/clipfrac", "losses/entropy", "losses/explained_variance", "losses/grad_norm",
    "losses/policy_loss", "losses/value_loss",
}  # fmt: skip


def metrics(update, episodes=(), **changes):
    report = RolloutReport(steps=100, episodes=list(episodes), time=0.4375, time_env=0.25, time_inference=0.125)
    losses = {"loss": 9.0, "policy_loss": 0.1, "value_loss": 0.2, "entropy": 0.3, "approx_kl": 0.4, "clipfrac": 0.5}
    losses["grad_norm"] = 1.5
    row = Metrics.of_update(
        rollout=report, losses=losses, update=update, step=100 * update, wall_time=0.5 * update,
        explained_variance=0.75, learning_rate=1e-3, time_update=0.0625,
    )  # fmt: skip
    return dataclasses.replace(row, **changes)


def test_a_row_of_an_update_with_episodes():
    row = metrics(3, [Episode(10.0, 5), Episode(20.0, 8)])
    assert (row.SPS, row.episodes, row.episodic_return, row.episodic_length) == (200.0, 2, 15.0, 6.5)
    assert (row.policy_loss, row.value_loss, row.entropy, row.approx_kl, row.clipfrac) == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert (row.time_env, row.time_inference, row.time_update) == (0.25, 0.125, 0.0625)


def test_csv_rows_survive_the_round_trip(tmp_path):
    log = CSVLogger(tmp_path / "metrics.csv", METRICS_COLUMNS)
    rows = [metrics(1), metrics(2, [Episode(1 / 3, 7)])]
    for row in rows:
        log.log(dataclasses.astuple(row))
    text = (tmp_path / "metrics.csv").read_text()
    assert text.endswith("\n")
    assert text.splitlines()[0] == ",".join(COLUMNS)
    read = list(csv.DictReader(io.StringIO(text)))
    assert (read[0]["episodes"], read[0]["episodic_return"], read[0]["episodic_length"]) == ("0", "", "")
    assert float(read[1]["episodic_return"]) == 1 / 3
    for got, row in zip(read, rows, strict=True):
        for name in COLUMNS:
            value = getattr(row, name)
            assert (got[name] == "") if math.isnan(value) else (float(got[name]) == value)


@pytest.mark.parametrize("cut", range(1, 7))
def test_a_csv_file_is_gone_on_with_after_the_last_update_and_without_a_row_that_was_cut_off(tmp_path, cut):
    path = tmp_path / "x.csv"
    log = CSVLogger(path, ("update", "value"))
    for update in range(1, 4):
        log.log((update, update / 10))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    log = CSVLogger(path, ("update", "value"), last_update=2 if cut < 6 else 5)
    assert log.rows == [{"update": "1", "value": "0.1"}, {"update": "2", "value": "0.2"}]
    log.log((3, 0.3))
    assert path.read_bytes() == whole


def test_tensorboard_has_cleanrls_tags(tmp_path):
    log = TensorBoardLogger(tmp_path)
    log.log(metrics(1))
    log.log(metrics(2, [Episode(12.0, 7)]))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == TAGS
    assert [(event.step, event.value) for event in events.Scalars("charts/episodic_return")] == [(200, 12.0)]
    assert [event.step for event in events.Scalars("losses/value_loss")] == [100, 200]


def steps_on_disk(folder):
    """As TensorBoard reads them: one file after the other, in the order of their names."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars("losses/value_loss")]


def test_events_are_gone_on_with_after_the_last_step(tmp_path):
    for last_update, more in ((0, (1, 2, 3, 4)), (2, (3, 4, 5)), (4, (5,)), (0, (1, 2))):
        log = TensorBoardLogger(tmp_path, 100 * last_update)
        for update in more:
            log.log(metrics(update))
        assert steps_on_disk(tmp_path) == [100 * update for update in range(1, more[-1] + 1)]
    assert len(list(tmp_path.iterdir())) == 4


FOREIGN = ["", "abc", "1", ".x", "1e5.me", "-1.me", "\u00b2.me", f"{'9' * 200}.me", "12 .me", "1700000000"]


def test_event_files_with_names_of_others_are_left_alone(tmp_path):
    TensorBoardLogger(tmp_path).log(metrics(1))
    for name in FOREIGN:
        (tmp_path / f"events.out.tfevents.{name}").write_bytes(b"not ours")
    (tmp_path / "events.out.tfevents.1700000000.folder").mkdir()
    log = TensorBoardLogger(tmp_path, 100)
    log.log(metrics(2))
    for name in FOREIGN:
        assert (tmp_path / f"events.out.tfevents.{name}").read_bytes() == b"not ours"
    ours = [path for path in tmp_path.iterdir() if path.is_file() and path.read_bytes() != b"not ours"]
    assert [e.step for path in sorted(ours) for e, _ in read_events(path.read_bytes()) if e.step] == [100, 200]


def test_logs_that_are_deleted_meanwhile_begin_anew(tmp_path):
    log, events = CSVLogger(tmp_path / "x.csv", ("update", "value")), TensorBoardLogger(tmp_path)
    for update in (1, 2):
        for path in tmp_path.iterdir():
            path.unlink()
        log.log((update, 0.5))
        events.log(metrics(update))
    assert (tmp_path / "x.csv").read_text() == "update,value\n2,0.5\n"
    assert steps_on_disk(tmp_path) == [200]


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: data[:-40], lambda data: data[:-9] + b"x" * 9])
def test_an_event_that_was_cut_off_or_damaged_is_removed(tmp_path, harm):
    log = TensorBoardLogger(tmp_path)
    for update in (1, 2):
        log.log(metrics(update))
    (path,) = tmp_path.iterdir()
    path.write_bytes(harm(path.read_bytes()))
    assert len(list(read_events(path.read_bytes()))) == 2
    TensorBoardLogger(tmp_path, 1000).log(metrics(2))
    assert steps_on_disk(tmp_path) == [100, 200]


def test_plain_lines_at_the_interval():
    out = io.StringIO()
    log = ConsoleLogger(Console(file=out, force_terminal=False), 1000, log_every=2, bar=False)
    for update in range(1, 6):
        log.log(metrics(update), recent_return=12.345, recent_length=67.89, reward_per_step=1.0)
    log.close()
    assert out.getvalue().splitlines() == [
        "step=200 episodic_return=12.35 episodic_length=67.9 SPS=200",
        "step=400 episodic_return=12.35 episodic_length=67.9 SPS=200",
    ]


def test_the_progress_of_an_evaluation():
    for terminal, pause in ((False, 10), (True, 0.2)):
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=100, markup=False)
        log = ConsoleLogger(console, 1000, log_every=2, bar=terminal)
        log.note("episode 1 of [2], step 3")
        log.note("stopped", lasting=True)
        log.close()
        assert log.pause == pause
        assert "evaluation: stopped\n" in out.getvalue()
        assert "evaluation: episode 1 of [2], step 3" in out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_narrow_terminal_cuts_neither_the_total_nor_the_text(width):
    out = io.StringIO()
    log = ConsoleLogger(Console(file=out, force_terminal=True, width=width, color_system=None), 2_000_000, 1, bar=True)
    log.log(metrics(1, step=1_000_000, SPS=123_456.0), recent_return=-123.4, recent_length=1000.0, reward_per_step=1.0)
    log.close()
    text = " ".join(out.getvalue().split())
    assert "return -123.4 length 1000 SPS 123,456" in text
    assert " 1000000/2000000 " in text


@pytest.mark.parametrize(
    ("bar", "shown"), [(True, "reward/step 0.01235 SPS 200"), (False, "step=100 reward_per_step=0.01235 SPS=200")]
)
def test_the_reward_of_a_step_is_shown_until_an_episode_has_ended(bar, shown):
    out = io.StringIO()
    log = ConsoleLogger(Console(file=out, force_terminal=bar, width=100, color_system=None), 1000, log_every=1, bar=bar)
    log.log(metrics(1), recent_return=math.nan, recent_length=math.nan, reward_per_step=0.0123456)
    log.close()
    text = " ".join(out.getvalue().split())
    assert shown in text
    assert "nan" not in text


@pytest.mark.parametrize("done", [100, 1000])
def test_a_bar_on_a_terminal(done):
    out = io.StringIO()
    log = ConsoleLogger(Console(file=out, force_terminal=True, width=100), 1000, log_every=1, bar=True)
    log.log(metrics(1, step=done), recent_return=12.34, recent_length=67.0, reward_per_step=1.0)
    log.close()
    assert "return 12.3" in out.getvalue()
    assert "length 67" in out.getvalue()
    assert "SPS 200" in out.getvalue()
    assert f"{done}/1000" in out.getvalue()
    assert "step=" not in out.getvalue()
