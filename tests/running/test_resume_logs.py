"""Going on with a run whose logs are damaged, and with a best policy that could not be written."""

import csv
import errno
import os
import shutil

import numpy as np
import pytest
from durability.kill.compare import rows
from resuming import CARTPOLE, EVALUATED, go_on, stopped, train, warnings_in

from ppo_np.evaluation import periodic
from ppo_np.plot import read_curve
from ppo_np.running import cli
from ppo_np.saving import checkpoint
from ppo_np.saving.checkpoint import read_checkpoint

FLAGS = [*CARTPOLE, *EVALUATED]
ODD = [b"", b"x", b"nan", b"\xff\xfe", b"9" * 5000]


@pytest.fixture(scope="module")
def half_done(tmp_path_factory):
    """A run that was stopped after update 7, its evaluations of updates 3 and 6 with it."""
    with pytest.MonkeyPatch.context() as patch:
        return stopped(patch, tmp_path_factory.mktemp("half") / "run", *FLAGS, at=7 * 16 + 3)


@pytest.mark.parametrize("name", ["metrics.csv", "evaluations.csv"])
def test_a_run_whose_logs_are_damaged_is_resumed_and_plotted(half_done, tmp_path, name):
    folder = shutil.copytree(half_done, tmp_path / "run")
    header, *lines = (folder / name).read_bytes().splitlines()
    fields = lines[-1].split(b",")
    odd = [b",".join([*fields[:i], x, *fields[i + 1 :]]) for i in range(len(fields)) for x in ODD]
    missing = [b",".join([*fields[:i], *fields[i + 1 :]]) for i in range(len(fields))]
    (folder / name).write_bytes(b"\n".join([header, *lines[:-1], *odd, *missing, b""]))
    go_on(folder)
    numbers = [int(row["update"]) for row in rows(folder / name)]
    assert (numbers[0], numbers[-1]) == (int(lines[0].split(b",")[0]), 8)
    steps, returns = read_curve(folder, "step", "episodic_return", 100)
    assert np.isfinite([*steps, *returns]).all()


def best_row(folder):
    with open(folder / "evaluations.csv", newline="") as file:
        return max(csv.DictReader(file), key=lambda row: float(row["mean_return"]))


@pytest.fixture
def unwritable(monkeypatch):
    """From now on best.h5 cannot be written so many times."""
    write = checkpoint.write_whole

    def fail(times):
        left = [None] * times

        def write_whole(path, *arguments):
            if path.name == "best.h5" and left:
                left.pop()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(path, *arguments)

        monkeypatch.setattr(checkpoint, "write_whole", write_whole)

    return fail


@pytest.fixture
def worse_and_worse(monkeypatch):
    """The first evaluation is the best one."""
    returns = iter(range(100, 0, -10))
    statistics = periodic.statistics
    monkeypatch.setattr(
        periodic, "statistics", lambda *arguments: statistics(*arguments) | {"mean_return": float(next(returns))}
    )


@pytest.mark.parametrize("times", [1, 3])
def test_a_best_policy_that_could_not_be_written_is_written_later(tmp_path, capsys, unwritable, worse_and_worse, times):
    """A failure at update 3, and with 3 of them at the checkpoints of 4 and 6 too; none is better afterwards."""
    unwritable(times)
    folder = train(tmp_path / "run", *FLAGS)
    (warning,) = warnings_in(capsys.readouterr())
    assert warning.startswith(f"{folder / 'best.h5'} cannot be written (No space left on device)")
    assert read_checkpoint(folder / "best.h5").counters["update"] == int(best_row(folder)["update"]) == 3


def test_a_best_policy_that_is_never_written_is_told_in_the_end(tmp_path, capsys, unwritable, worse_and_worse):
    unwritable(100)
    folder = train(tmp_path / "run", *FLAGS, code=cli.FAILED)
    assert f"{folder / 'best.h5'} could not be written: No space left on device." in capsys.readouterr().err


@pytest.mark.parametrize("kept", ["none", "an older one"])
def test_after_a_kill_the_best_policy_is_the_one_on_disk(half_done, tmp_path, kept, worse_and_worse):
    """The next one is kept if it is better than that, though rows of evaluations.csv say something else."""
    folder = shutil.copytree(half_done, tmp_path / "run")
    text = "update,step,wall_time,episodes,mean_return,std_return,min_return,max_return,mean_length,best\n"
    old = read_checkpoint(folder / "best.h5").counters["update"]
    returns = {3: 999.0, 6: 999.0} | {old: 50.0}
    (folder / "evaluations.csv").write_text(text + "".join(f"{u},1,1,2,{r},1,1,1,1,1\n" for u, r in returns.items()))
    if kept == "none":
        (folder / "best.h5").unlink()
    go_on(folder)
    assert read_checkpoint(folder / "best.h5").counters["update"] == 8
    assert [row["best"] for row in rows(folder / "evaluations.csv")][-1] == "1"


def test_a_log_that_is_deleted_while_running_is_there_in_the_end(half_done, tmp_path, monkeypatch):
    folder = shutil.copytree(half_done, tmp_path / "run")
    is_due = periodic.PeriodicEvaluation.is_due

    def deleting(evaluation, ppo):
        for name in ("metrics.csv", "evaluations.csv"):
            (folder / name).unlink(missing_ok=True)
        return is_due(evaluation, ppo)

    monkeypatch.setattr(periodic.PeriodicEvaluation, "is_due", deleting)
    go_on(folder)
    assert [row["update"] for row in rows(folder / "evaluations.csv")] == ["8"]
    assert (folder / "metrics.csv").read_text().startswith("update,step,")
