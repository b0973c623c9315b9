"""The bars of several runs on a terminal."""

import io
import types

import pytest
from rich.console import Console

from ppo_np.searching import screen
from ppo_np.searching.jobs import Job


@pytest.fixture
def terminal(monkeypatch):
    """What is drawn on a terminal."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    monkeypatch.setattr(screen, "make_console", lambda: console)
    monkeypatch.setattr(screen, "shows_bar", lambda console: True)
    monkeypatch.setattr(screen, "BAR_EVERY", 0)
    return file


def test_each_run_has_a_bar_as_long_as_it_runs(terminal, tmp_path):
    jobs = [Job(name, tmp_path / name, (), 1000, 0) for name in ("a", "b")]
    running = [types.SimpleNamespace(job=job) for job in jobs]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "metrics.csv").write_text("step,SPS,episodes,episodic_return\n250,1234,2,7.5\n")
    with screen.Screen(4, "runs") as shown:
        shown.update(running, 1, "1 failed")
        tasks = {task.description: (task.completed, task.total, task.fields["state"]) for task in shown._progress.tasks}
        assert tasks == {
            "runs": (1, 4, "1 failed"), "a": (0, 1000, "starting"), "b": (250, 1000, "return 7.5, 1,234 steps/s"),
        }  # fmt: skip
        shown._progress.refresh()
        shown.update(running[1:], 2)
        assert [task.description for task in shown._progress.tasks] == ["runs", "b"]
    assert "return 7.5, 1,234 steps/s" in terminal.getvalue()
