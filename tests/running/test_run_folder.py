"""The run folder: made for one run only, found again wherever the environment goes, and removed if nothing began."""

import errno
import itertools
import os
import shutil
import stat
from datetime import datetime
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import sample_environments
from commands import run
from durability.kill.compare import differences, rows
from resuming import BASE, CARTPOLE, EVALUATED, Whole, contents, go_on, stopped, train, warnings_in

from ppo_np import PPO
from ppo_np.environments.film import VideoOptions
from ppo_np.evaluate import main as evaluate
from ppo_np.evaluation.playback import evaluate as play
from ppo_np.plot import main as plot
from ppo_np.replay import main as replay
from ppo_np.running import cli, run_folder
from ppo_np.running import run as run_module
from ppo_np.running.options import parse
from ppo_np.running.signals import StopSignals
from ppo_np.saving import files
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.train import main

SHORT = [*CARTPOLE, "--total-timesteps", "64"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return Whole(tmp_path_factory)


@pytest.fixture
def nested(monkeypatch):
    """Start one run while another one is between its options and its first update."""
    make = run_module._make_ppo

    def start(first, second):
        options = parse(second)
        codes = []

        def other_first(*arguments):
            monkeypatch.setattr(run_module, "_make_ppo", make)
            codes.append(run(lambda _: run_module.train(options, StopSignals())))
            return make(*arguments)

        monkeypatch.setattr(run_module, "_make_ppo", other_first)
        codes.append(run(main, *first))
        return codes

    return start


def test_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch, nested):
    class Frozen(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(run_folder, "datetime", Frozen)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    name = "CartPole-v1__article__42__20260102-030405"
    (tmp_path / "runs" / name).write_text("a file, and not a folder")
    (tmp_path / "runs" / name).unlink()
    assert nested([*SHORT, "--learning-rate", "0.001"], [*SHORT, "--learning-rate", "0.002"]) == [0, 0]
    rates = {f.name: read_checkpoint(f / "checkpoint.h5").config.learning_rate for f in (tmp_path / "runs").iterdir()}
    assert rates == {name: 0.001, f"{name}-2": 0.002}


@pytest.mark.parametrize("exists", [False, True])
def test_a_run_dir_that_was_free_when_the_flags_were_read_is_looked_at_again(tmp_path, capsys, exists):
    folder = tmp_path / "run"
    if exists:
        folder.mkdir()
    first, second = (parse([*SHORT, "--run-dir", str(folder), "--seed", seed]) for seed in "12")
    assert run(lambda _: run_module.train(first, StopSignals())) == cli.DONE
    before = contents(folder)
    capsys.readouterr()
    assert run(lambda _: run_module.train(second, StopSignals())) == cli.BAD_ARGUMENTS
    allowed = "a new or an empty folder (--resume goes on with a run)"
    assert capsys.readouterr().err == f"error: run_dir is '{folder}', but it must be {allowed}.\n"
    assert contents(folder) == before


@pytest.mark.parametrize("flags", [[], ["--capture-video"]], ids=["plain", "filmed"])
def test_what_is_refused_leaves_only_what_was_there(tmp_path, monkeypatch, flags):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    refused = [*BASE, *flags, "--env-id", "CartPole-v1", "--shared-sizes", str(10**7), str(10**7)]
    for folder in (["--run-dir", "a/b/c"], ["--run-dir", "mine"], []):
        assert run(main, *refused, *folder) == cli.BAD_ARGUMENTS
    assert [path.name for path in tmp_path.rglob("*") if path.name != "videos"] == ["mine"]


@pytest.mark.parametrize("name", ["config.json", "videos", "metrics.csv", ".x.tmp", "events.out.tfevents.1.me"])
def test_a_folder_of_someone_else_is_refused_whatever_is_in_it(tmp_path, name):
    (tmp_path / name).mkdir() if name == "videos" else (tmp_path / name).write_text("{}")
    before = sorted(tmp_path.iterdir()), contents(tmp_path)
    assert run(main, *SHORT, "--run-dir", tmp_path) == cli.BAD_ARGUMENTS
    assert (sorted(tmp_path.iterdir()), contents(tmp_path)) == before


def at_the_start(monkeypatch, tmp_path, *arguments):
    """Copies of a run folder as a kill would leave it: before each of our system calls up to the first checkpoint."""
    folder, copies = tmp_path / "run", {}

    class Copying:
        def __getattr__(self, name):
            if folder.exists() and not (folder / "checkpoint.h5").exists():
                state = frozenset(path.name for path in folder.iterdir())
                if state not in copies:
                    copies[state] = shutil.copytree(folder, tmp_path / f"copy{len(copies)}")
            return getattr(os, name)

    with monkeypatch.context() as patched:
        patched.setattr(files, "os", Copying())
        train(folder, *arguments)
    return list(copies.values())


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(tmp_path, monkeypatch, capsys):
    flags = [*CARTPOLE, *EVALUATED]
    copies = at_the_start(monkeypatch, tmp_path, *flags)
    assert len(copies) >= 5
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / ".lock").write_text("")
    for number, folder in enumerate([tmp_path / "locked", *copies, shutil.copytree(copies[-1], tmp_path / "last")]):
        if number % 2:
            train(folder, *flags)
        elif (folder / "config.json").exists():
            go_on(folder)
        else:
            capsys.readouterr()
            go_on(folder, code=cli.BAD_ARGUMENTS)
            assert capsys.readouterr().err == (
                f"error: resume is '{folder}', but that run ended before it had saved anything: start it again by its "
                f"first command, with --run-dir {folder}.\n"
            )
            train(folder, *flags)
        assert differences(tmp_path / "run", folder) == []


def test_a_run_that_starts_again_by_resume_may_change_only_what_others_may(tmp_path, monkeypatch, capsys):
    folder = at_the_start(monkeypatch, tmp_path, *CARTPOLE)[-1]
    capsys.readouterr()
    go_on(folder, "--gamma", "0.5", code=cli.BAD_ARGUMENTS)
    assert "gamma is 0.5, but it must be 0.99 as in the run that --resume continues" in capsys.readouterr().err
    go_on(folder, "--total-timesteps", "64")
    assert read_checkpoint(folder / "checkpoint.h5").counters["global_step"] == 64


@pytest.mark.parametrize("lost", ["checkpoint*.h5", "*.h5"])
def test_a_run_whose_checkpoints_are_lost_keeps_its_rows(tmp_path, capsys, lost):
    folder = train(tmp_path / "run", *SHORT)
    for path in folder.glob(lost):
        path.unlink()
    before = contents(folder)
    assert run(main, *SHORT, "--run-dir", folder) == cli.BAD_ARGUMENTS
    go_on(folder, code=cli.BAD_ARGUMENTS)
    assert contents(folder) == before


class Wandering(sample_environments.Counting):
    """Changes the working directory wherever it can, as simulators do that look for their files."""

    places = iter(())

    def __init__(self, **options):
        os.chdir(next(self.places))
        super().__init__(**options)
        self.render_mode = options.get("render_mode")

    def reset(self, *, seed=None, options=None):
        os.chdir(next(self.places))
        return super().reset(seed=seed)

    def step(self, action):
        os.chdir(next(self.places))
        obs, reward, *rest = super().step(action)
        return obs, np.nan if self.episode > 30 else reward, *rest

    def render(self):
        return np.zeros((16, 16, 3), np.uint8)

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}


gymnasium.register("ppo_np_test/Wandering-v0", Wandering)


def test_relative_paths_stay_where_the_command_was_given(tmp_path, monkeypatch, capsys):
    home, away = tmp_path / "home", [tmp_path / "away", tmp_path / "far"]
    for folder in (home, *away):
        folder.mkdir()
    monkeypatch.setattr(Wandering, "places", itertools.cycle(away))
    flags = [*BASE, "--env-id", "ppo_np_test/Wandering-v0", *EVALUATED, "--capture-video", "--video-every", "1000"]

    def at_home(command, *arguments, code=cli.DONE):
        monkeypatch.chdir(home)
        assert run(command, *arguments) == code
        assert [list(folder.iterdir()) for folder in away] == [[], []]

    at_home(main, *flags, "--total-timesteps", 64, "--run-dir", "run")
    at_home(main, *flags, "--total-timesteps", 32)
    at_home(main, "--resume", "run", "--total-timesteps", 32)
    at_home(evaluate, "run", "--episodes", 1, "--video", "film.gif")
    at_home(main, "--resume", "run", "--total-timesteps", 10_000, code=cli.FAILED)
    assert f"python -m ppo_np.replay {home / 'run' / 'crash.h5'}" in capsys.readouterr().err
    monkeypatch.chdir(home)
    report = play(Path("run/checkpoint.h5"), 1, 0, video=Path("other.gif"))
    assert report["episodes"] == 1
    monkeypatch.chdir(home)
    PPO(read_checkpoint("run/checkpoint.h5").config, video=VideoOptions(Path("films"))).close()
    assert {path.name for path in home.iterdir()} == {"run", "runs", "film.gif", "other.gif", "films"}
    names = {
        "checkpoint.h5",
        "checkpoint.prev.h5",
        "best.h5",
        "metrics.csv",
        "evaluations.csv",
        "config.json",
        "videos",
    }
    assert names | {"crash.h5"} <= {path.name for path in (home / "run").iterdir()}
    assert [list(folder.iterdir()) for folder in away] == [[], []]


def test_a_name_that_is_too_long_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for flags in (["--run-dir", "x" * 256], ["--resume", "x" * 256], ["--resume", "x" * 5000]):
        assert run(main, *SHORT, *flags) == cli.BAD_ARGUMENTS
        captured = capsys.readouterr()
        assert captured.err.startswith(f"error: {'run_dir' if '--run-dir' in flags else 'checkpoint'} is ")
        assert (captured.err.count("\n"), captured.out) == (1, "")
    for command in (evaluate, replay, plot):
        assert run(command, "x" * 256) == cli.BAD_ARGUMENTS
        captured = capsys.readouterr()
        assert captured.err.startswith("error: ")
        assert (captured.err.count("\n"), captured.out) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_at_present_is_not_replaced(tmp_path, monkeypatch, capsys):
    flags = [*CARTPOLE, *EVALUATED]
    folder = stopped(monkeypatch, tmp_path / "run", *flags, at=5 * 16 + 3)
    whole = go_on(shutil.copytree(folder, tmp_path / "whole"))
    before = contents(folder)
    read = Path.read_bytes
    names = ["config.json", "metrics.csv", "evaluations.csv", "best.h5"]
    faults = [("checkpoint.h5", code) for code in (errno.EIO, errno.EACCES, errno.ESTALE)]
    for name, code in [*faults, *((name, errno.EIO) for name in names)]:

        def read_bytes(path, name=name, code=code):
            if path == folder / name:
                raise OSError(code, os.strerror(code))
            return read(path)

        capsys.readouterr()
        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", read_bytes)
            go_on(folder, code=cli.BAD_ARGUMENTS)
        captured = capsys.readouterr()
        assert os.strerror(code) in captured.err
        assert captured.err.count("\n") == 1
        assert {path: contents(folder)[path] for path in before if path.endswith(".h5")} == {
            path: data for path, data in before.items() if path.endswith(".h5")
        }
    go_on(folder)
    assert differences(whole, folder) == []


def test_where_folders_cannot_be_forced_to_disk_a_run_says_so_once(tmp_path, monkeypatch, capsys):
    class Unable:
        def __getattr__(self, name):
            return getattr(os, name)

        def fsync(self, descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            os.fsync(descriptor)

    monkeypatch.setattr(files, "os", Unable())
    folder = train(tmp_path / "run", *SHORT)
    assert warnings_in(capsys.readouterr()) == [
        f"the disk of {folder} cannot be made to keep new files at once: a power failure may cost checkpoints."
    ]
    assert read_checkpoint(folder / "checkpoint.h5").counters["global_step"] == 64
    assert len(rows(folder / "metrics.csv")) == 2
