"""Several ranks of MPI (`pytest -m mpi`), and environments of one rank that hang in their close."""

import re
import signal
import time

import pytest
from broken import CLOSE_TIMEOUT, CLOSING
from mpi_runs import AFTER_A_SIGNAL, PATIENCE, Ranks

from ppo_np.saving.checkpoint import read_checkpoint

pytestmark = pytest.mark.mpi
SHORT = ("--total-timesteps", "128")
WARNING = "warning: environment {} did not end its close within {} s\n"
WARNINGS = WARNING.format(2, 2) + WARNING.format(3, 1)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts a run that ends soon; returns it when an environment is being closed."""
    monkeypatch.setenv(CLOSING, str(tmp_path / "closing"))

    def start(kind, vectorization="sync"):
        ranks = Ranks(tmp_path / "run", f"broken:{kind}Closing-v0", *SHORT, "--vectorization", vectorization)
        deadline = time.monotonic() + PATIENCE
        while not (tmp_path / "closing").exists():
            ranks.note_shared_memory()
            assert ranks.process.poll() is None, ranks.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return ranks

    return start


def test_the_run_ends_with_its_summary(start, tmp_path):
    ranks = start("")
    assert ranks.finish(time.monotonic(), 2 * CLOSE_TIMEOUT + 5) == (0, WARNINGS)
    assert "Training finished" in ranks.out
    assert read_checkpoint(tmp_path / "run" / "checkpoint.h5").counters["global_step"] == 128


def test_workers_are_killed(start):
    ranks = start("DeafAnd", "async")
    assert ranks.finish(time.monotonic(), CLOSE_TIMEOUT + 5) == (0, "")
    assert "Training finished" in ranks.out


def test_what_went_wrong_before_is_told_in_the_end(start):
    code, err = start("FailingAnd").finish(time.monotonic(), 2 * CLOSE_TIMEOUT + 5)
    assert code == 1
    said = r"error: rank 1: In step 20, environment 3 raised RuntimeError: it is broken \(broken\.py, line \d+\)\.\n"
    assert re.fullmatch(WARNINGS + said, err)


def test_a_signal_while_it_cannot_be_interrupted(start):
    ranks = start("DeafAnd")
    time.sleep(0.5)
    ranks.process.send_signal(signal.SIGTERM)
    code, err = ranks.finish(time.monotonic(), AFTER_A_SIGNAL)
    assert code == 128 + signal.SIGTERM
    assert re.fullmatch(r"error: (rank 0: )?signal 15 came, and the ranks could not stop together within 8 s\.\n", err)


def test_the_command_is_killed_while_it_cannot_be_interrupted(start):
    ranks = start("DeafAnd")
    ranks.process.kill()
    _, err = ranks.finish(time.monotonic())
    assert err == "error: the process that started the ranks has died without an error message: all ranks end.\n"
