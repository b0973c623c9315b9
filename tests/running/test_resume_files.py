"""Going on with a run whose files are damaged, gone, elsewhere, or in use by another process."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from durability.kill.compare import differences, rows
from resuming import CARTPOLE, STEPS, Whole, contents, go_on, stopped, train, warnings_in

from ppo_np.errors import UserError
from ppo_np.running import cli, resume
from ppo_np.saving import files
from ppo_np.saving.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return Whole(tmp_path_factory)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize("spoil", [cut, os.unlink, lambda path: path.write_bytes(b"")], ids=["cut", "gone", "empty"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(
    uninterrupted, tmp_path, monkeypatch, capsys, spoil
):  # fmt: skip
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=5 * 16 + 3)
    assert read_checkpoint(folder / "checkpoint.prev.h5").counters["update"] == 4
    spoil(folder / "checkpoint.h5")
    capsys.readouterr()
    go_on(folder)
    (warning,) = warnings_in(capsys.readouterr())
    assert warning.startswith(f"checkpoint is '{folder / 'checkpoint.h5'}', but ")
    assert warning.endswith("; resuming from the one before it.")
    assert differences(uninterrupted(CARTPOLE), folder) == []


def test_from_a_damaged_checkpoint_on_there_is_a_whole_one_at_any_moment(tmp_path, monkeypatch):
    """Looked at around each system call, as if the process was killed there."""
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=5 * 16 + 3)
    cut(folder / "checkpoint.h5")
    without = []

    class Looking:
        def __getattr__(self, name):
            try:
                resume.read_run(folder)
            except UserError:
                without.append(name)
            return getattr(os, name)

    monkeypatch.setattr(files, "os", Looking())
    go_on(folder)
    assert without == []


@pytest.mark.parametrize("spoil", [cut, os.unlink], ids=["cut", "gone"])
def test_without_a_whole_checkpoint_there_is_one_sentence(tmp_path, capsys, spoil):
    folder = train(tmp_path / "run", *CARTPOLE, "--total-timesteps", 64)
    spoil(folder / "checkpoint.h5")
    spoil(folder / "checkpoint.prev.h5")
    capsys.readouterr()
    go_on(folder, code=cli.BAD_ARGUMENTS)
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: checkpoint is '{folder / 'checkpoint.h5'}', but ")
    assert (captured.err.count("\n"), captured.out) == (1, "")


@pytest.mark.parametrize("name", ["", "nothing", "nothing.h5"])
def test_without_a_checkpoint_there_is_nothing_to_go_on_with(tmp_path, capsys, name):
    go_on(tmp_path / name, code=cli.BAD_ARGUMENTS)
    captured = capsys.readouterr()
    assert "but there is no such file." in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"preset": "article"}',
        "[]",
        '{"preset": "article", "options": {"no": 1}}',
        '{"preset": "\\u001b[2J", "options": []}',
        '{"preset": [], "options": {"checkpoint_every": "5m", "log_every": 0, "eval_every": -1, "ranks": 0}}',
        json.dumps({"preset": "article", "options": {"checkpoint_every": "9" * 5000, "video_every": 10**4000}}),
        '{"resumed": {"a": 1}, "options": null}',
        '{"resumed": [1, "x", null, [[[]]], NaN]}',
        '{"resumed": ' + "[" * 400 + "]" * 400 + "}",
        "[" * 100_000,
        "\xff\xfe\x00",
    ],
    ids=range(12),
)
def test_a_damaged_config_json_costs_only_the_options(uninterrupted, tmp_path, monkeypatch, text):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    (folder / "config.json").write_text(text, encoding="latin-1")
    assert differences(uninterrupted(CARTPOLE), go_on(folder)) == []


def test_a_file_goes_on_in_a_folder_of_its_own(uninterrupted, tmp_path, monkeypatch):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    before = contents(folder)
    go_on(folder / "checkpoint.h5", "--run-dir", tmp_path / "other")
    assert contents(folder) == before
    whole = uninterrupted(CARTPOLE)
    assert rows(tmp_path / "other" / "metrics.csv") == rows(whole / "metrics.csv")[2:]
    shutil.copy(whole / "metrics.csv", tmp_path / "other")
    assert set(differences(whole, tmp_path / "other")) == {"TensorBoard events"}


def test_a_run_folders_file_goes_on_there_and_a_file_alone_in_a_default_folder(uninterrupted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    shutil.copy(folder / "checkpoint.h5", tmp_path)
    go_on(folder / "checkpoint.h5")
    assert differences(uninterrupted(CARTPOLE), folder) == []
    go_on(tmp_path / "checkpoint.h5")
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name.startswith("CartPole-v1__article__42__")
    assert read_checkpoint(made / "checkpoint.h5").counters["global_step"] == STEPS


HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); input()"
)


@pytest.fixture
def hold():
    """Lock a run folder, as another process would that is at work there."""
    holders = []

    def lock(folder):
        command = [sys.executable, "-c", HOLD, str(folder / ".lock")]
        holders.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert holders[-1].stdout.readline() == b"held\n"

    yield lock
    for holder in holders:
        holder.communicate(b"\n")


def test_a_second_process_is_refused(tmp_path, monkeypatch, capsys, hold):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    (folder / ".checkpoint.h5.1.tmp").write_text("being written")
    hold(folder)
    before = contents(folder)
    capsys.readouterr()
    go_on(folder, code=cli.BAD_ARGUMENTS)
    assert capsys.readouterr().err == f"error: run_dir is '{folder}', but another run is using it.\n"
    assert contents(folder) == before


FILMED = ["--capture-video", "--video-every", "2"]


def test_a_second_process_leaves_the_first_ones_films_alone(tmp_path, monkeypatch, hold):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, *FILMED, at=5)
    hold(folder)
    (film,) = (folder / "videos").glob("*.mp4")
    film.write_bytes(b"of the first one")
    go_on(folder, code=cli.BAD_ARGUMENTS)
    assert film.read_bytes() == b"of the first one"


def test_the_films_numbers_go_on(uninterrupted, tmp_path, monkeypatch):
    whole = uninterrupted([*CARTPOLE, *FILMED])
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, *FILMED, at=70)
    go_on(folder)
    names = [sorted(path.name for path in (one / "videos").glob("*.mp4")) for one in (whole, folder)]
    assert names[0] == names[1]
    assert len(names[0]) > 1
    assert differences(whole, folder) == []
