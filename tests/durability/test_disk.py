"""Faults of the disk in a real run: training goes on, says so once, tries again, and tells the truth in the end."""

import csv
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from ppo_np.saving.checkpoint import previous_of, read_checkpoint

pytestmark = pytest.mark.faults

PATIENCE = 60.0
COMMAND = [
    "-m", "ppo_np.train", "--preset", "article", "--env-id", "CartPole-v1", "--num-steps", "16", "--shared-sizes", "8",
    "--update-epochs", "1", "--total-timesteps", "100000000", "--checkpoint-every", "2", "--log-every", "1",
]  # fmt: skip
NO_SPACE = 2000  # bytes: no checkpoint fits, and metrics.csv is longer soon


class Run:
    """`python -m ppo_np.train` on a folder, to be tampered with."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, *COMMAND, "--run-dir", str(folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.updates = 0
        self.go_on(6)

    def go_on(self, updates):
        """Wait for so many more updates, which the run says on its output."""
        while updates:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()
            if line.startswith("step="):
                self.updates, updates = self.updates + 1, updates - 1

    def limit_files(self, size):
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def finish(self):
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, [line for line in err.splitlines() if line and "second signal" not in line]

    def update_of(self, name="checkpoint.h5"):
        return read_checkpoint(self.folder / name).counters["update"]

    def rows(self):
        with open(self.folder / "metrics.csv", newline="") as file:
            return [int(row["update"]) for row in csv.DictReader(file)]


def warning(what, reason):
    return f"warning: {what} cannot be written ({reason}): training continues and will try again."


def test_a_full_disk_leaves_the_last_checkpoint_and_is_told(tmp_path):
    run = Run(tmp_path / "run")
    run.limit_files(NO_SPACE)
    run.go_on(40)
    kept, full = run.update_of(), run.updates
    code, err = run.finish()
    assert code == 1
    path = run.folder / "checkpoint.h5"
    assert warning(path, "File too large") in err
    assert len(err) == len(set(err)), "once an incident"
    assert err[-1].startswith("error: ")
    assert f"{path} could not be written: File too large" in err[-1]
    assert (run.update_of(), kept < full) == (kept, True)
    assert read_checkpoint(previous_of(path)).counters["update"] < kept
    assert run.rows() == list(range(1, len(run.rows()) + 1)), "whole rows"
    assert not list(run.folder.glob(".*.tmp"))


def test_when_there_is_space_again_nothing_is_missing(tmp_path):
    run = Run(tmp_path / "run")
    run.limit_files(NO_SPACE)
    run.go_on(40)
    run.limit_files(resource.RLIM_INFINITY)
    run.go_on(4)
    code, err = run.finish()
    assert code == 130
    assert all(line.startswith("warning: ") for line in err)
    last = run.update_of()
    assert last >= run.updates
    assert run.rows() == list(range(1, last + 1))


def test_a_folder_that_is_away_for_a_while(tmp_path):
    run = Run(tmp_path / "run")
    away = tmp_path / "away"
    run.folder.rename(away)
    run.go_on(20)
    away.rename(run.folder)
    run.go_on(4)
    code, err = run.finish()
    assert code == 130
    assert sorted(err) == sorted(
        warning(what, "No such file or directory")
        for what in (run.folder / "checkpoint.h5", run.folder / "metrics.csv", "the TensorBoard events")
    )
    assert run.rows() == list(range(1, run.update_of() + 1))


def test_a_folder_that_is_gone_is_told_in_the_end(tmp_path):
    run = Run(tmp_path / "run")
    shutil.rmtree(run.folder.rename(tmp_path / "gone"))  # at once: a deleted log would be made again
    run.go_on(4)
    code, err = run.finish()
    assert code == 1
    assert err[-1].startswith("error: ")
    assert not run.folder.exists()


def test_a_file_system_that_is_full(tmp_path):
    """A real one, where one can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        run = Run(disk / "run")
        (disk / "filler").write_bytes(b"")
        with open(disk / "filler", "ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(1000))
        run.go_on(20)
        kept = run.update_of()
        (disk / "filler").unlink()
        run.go_on(4)
        code, err = run.finish()
        assert code == 130
        assert warning(run.folder / "checkpoint.h5", "No space left on device") in err
        assert run.update_of() > kept
        assert run.rows() == list(range(1, run.update_of() + 1))
    finally:
        time.sleep(0.1)
        subprocess.run(["umount", "-l", str(disk)], check=True)
