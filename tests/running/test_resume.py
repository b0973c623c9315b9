"""Going on with a run: the same numbers as without a stop, what may change, what is refused, what cannot be kept."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import sample_environments
from commands import run
from durability.kill.compare import differences, rows

from ppo_np.environments import env_recorder
from ppo_np.environments.stream import EnvStream
from ppo_np.errors import UserError
from ppo_np.logs.tensorboard import TensorBoardLogger
from ppo_np.running import cli, resume
from ppo_np.running.signals import STOPPING
from ppo_np.saving import files
from ppo_np.saving.checkpoint import read_checkpoint
from ppo_np.saving.hdf5 import pack, unpack
from ppo_np.train import main

BASE = ["--preset", "article", "--num-envs", "2", "--num-steps", "16", "--num-minibatches", "2", "--update-epochs", "2"]
BASE += ["--learning-rate", "0.003", "--shared-sizes", "8", "--checkpoint-every", "2"]
CARTPOLE = [*BASE, "--env-id", "CartPole-v1"]
STEPS = 8 * 32
EVALUATED = ["--eval-every", "3", "--eval-episodes", "2"]


class Hidden(sample_environments.Counting):
    """Its observations come from Python's own random numbers, which nobody keeps."""

    def _obs(self):
        return np.array([random.random(), self.count], np.float32)


gymnasium.register("ppo_np_test/Hidden-v0", Hidden)


def train(folder, *arguments, code=cli.DONE):
    assert run(main, "--run-dir", folder, "--total-timesteps", STEPS, *arguments) == code
    return folder


def go_on(folder, *arguments, code=cli.DONE):
    assert run(main, "--resume", folder, *arguments) == code
    return folder


def stopped(monkeypatch, folder, *arguments, at, start=train):
    """Train, and send a signal in environment step number `at`, counted from 1."""
    step, calls = EnvStream.step, []

    def counted(stream, actions):
        calls.append(1)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(stream, actions)

    with monkeypatch.context() as patched:
        patched.setattr(EnvStream, "step", counted)
        return start(folder, *arguments, code=143)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def warnings_in(captured):
    assert all(line.startswith("warning: ") or line in STOPPING.decode() for line in captured.err.splitlines())
    return [line.removeprefix("warning: ") for line in captured.err.splitlines() if line.startswith("warning: ")]


NORMALIZED = ["--norm-obs", "--norm-reward"]
KINDS = {
    "plain": CARTPOLE,
    "workers": [*CARTPOLE, "--vectorization", "async"],
    "normalized": [*CARTPOLE, *NORMALIZED],
    "real-valued actions": [*BASE, "--env-id", "Pendulum-v1", *NORMALIZED],
    "all at once": [*BASE, "--env-id", "Pendulum-v1", *NORMALIZED, "--vectorization", "async", "--target-kl", "0.002"],
    "target_kl": [*CARTPOLE, "--target-kl", "0.002"],
    "LunarLander": [*BASE, "--env-id", "LunarLander-v3"],
    "observations in a Tuple": [*BASE, "--env-id", "Blackjack-v1"],
    "the same in workers": [*BASE, "--env-id", "Blackjack-v1", "--vectorization", "async"],
    "numbered observations": [*BASE, "--env-id", "FrozenLake-v1"],
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Run folders of the whole run of some flags, each made once."""
    made = {}

    def of(arguments):
        key = " ".join(arguments)
        if key not in made:
            made[key] = train(tmp_path_factory.mktemp("whole") / "run", *arguments)
        return made[key]

    return of


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_in_the_midst_of_a_rollout_changes_nothing(uninterrupted, tmp_path, monkeypatch, capsys, kind):
    flags = [*KINDS[kind], *EVALUATED]
    whole = uninterrupted(flags)
    capsys.readouterr()
    folder = stopped(monkeypatch, tmp_path / "run", *flags, at=4 * 16 + 5)
    assert read_checkpoint(folder / "checkpoint.h5").counters["update"] == 4
    go_on(folder)
    assert differences(whole, folder) == []
    assert warnings_in(capsys.readouterr()) == []
    assert json.loads((folder / "config.json").read_text())["resumed"] == [128]


@pytest.mark.parametrize("at", [1, 16, 17, 63, 64, 65, 127, 128])
def test_a_stop_at_any_step_changes_nothing(uninterrupted, tmp_path, monkeypatch, at):
    whole = uninterrupted(CARTPOLE + EVALUATED)
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, *EVALUATED, at=at)
    assert differences(whole, go_on(folder)) == []


def test_two_stops_change_nothing(uninterrupted, tmp_path, monkeypatch):
    whole = uninterrupted(CARTPOLE)
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    stopped(monkeypatch, folder, at=3, start=go_on)
    stopped(monkeypatch, folder, at=50, start=go_on)
    assert differences(whole, go_on(folder)) == []
    assert json.loads((folder / "config.json").read_text())["resumed"] == [64, 64, 160]


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_so_many_steps_and_so_many_more_are_all_of_them_in_one_go(tmp_path, vectorization):
    flags = [*CARTPOLE, "--no-anneal-lr", "--vectorization", vectorization]
    whole = train(tmp_path / "whole", *flags)
    folder = train(tmp_path / "run", *flags, "--total-timesteps", 3 * 32)
    go_on(folder, "--total-timesteps", 5 * 32)
    assert differences(whole, folder) == []


def test_a_run_that_is_done_says_so_and_is_left_alone(uninterrupted, capsys):
    folder = uninterrupted(CARTPOLE)
    before = contents(folder)
    capsys.readouterr()
    go_on(folder)
    assert capsys.readouterr().out == "The run has done its 256 steps; --total-timesteps M adds M steps.\n"
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gamma", "0.9"], "gamma is 0.9, but it must be 0.99 as in the run that --resume continues"),
        (["--seed", "1"], "seed is 1, but it must be 42 as in the run"),
        (["--num-envs", "4"], "num_envs is 4, but it must be 2"),
        (["--env-id", "Acrobot-v1"], "env_id is 'Acrobot-v1', but it must be 'CartPole-v1'"),
        (["--shared-sizes", "9"], "shared_sizes is (9,), but it must be (8,)"),
        (["--learning-rate", "1"], "learning_rate is 1.0, but it must be 0.003"),
        (["--norm-obs"], "norm_obs is True, but it must be False"),
        (["--vectorization", "async"], "vectorization is 'async', but it must be 'sync'"),
        (
            ["--preset", "cleanrl"],
            "preset is 'cleanrl', but it must be 'article' as in the run that --resume continues",
        ),
        (["--total-timesteps", "0"], "total_timesteps is 0"),
        (["--checkpoint-every", "0"], "checkpoint_every is '0'"),
    ],
)
def test_what_decides_what_is_learnt_must_not_change(uninterrupted, capsys, flags, message):
    folder = uninterrupted(CARTPOLE)
    before = contents(folder)
    capsys.readouterr()
    go_on(folder, *flags, code=cli.BAD_ARGUMENTS)
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")
    assert contents(folder) == before


def test_what_may_change(uninterrupted, tmp_path, monkeypatch):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    flags = {"threads": 2, "num_env_threads": 3, "env_timeout": 7.0, "checkpoint_every": "1", "log_every": 3}
    go_on(folder, *(str(part) for name, value in flags.items() for part in (f"--{name}", value)))
    document = json.loads((folder / "config.json").read_text())
    assert {name: (document["config"] | document["options"])[name] for name in flags} == flags
    names = {difference.split(": ")[-1] for difference in differences(uninterrupted(CARTPOLE), folder)}
    assert names == {"config"}
    assert read_checkpoint(folder / "checkpoint.prev.h5").counters["update"] == 8


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
    ],
)
def test_a_damaged_config_json_costs_only_the_options(uninterrupted, tmp_path, monkeypatch, text):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    (folder / "config.json").write_text(text)
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


LOST = {
    "hidden numbers": ["--env-id", "ppo_np_test/Hidden-v0"],
    "hidden counter": ["--env-id", "ppo_np_test/Counting-v0"],
    "workers": ["--env-id", "ppo_np_test/Hidden-v0", "--vectorization", "async"],
    "native": ["--env-id", "CartPole-v1", "--vectorization", "vector"],
}


@pytest.mark.parametrize("kind", LOST)
def test_environments_that_cannot_be_brought_back_are_told_of(tmp_path, monkeypatch, capsys, kind):
    folder = stopped(monkeypatch, tmp_path / "run", *BASE, *LOST[kind], at=5 * 16 + 7)
    step = read_checkpoint(folder / "checkpoint.h5").counters["global_step"]
    go_on(folder)
    (warning,) = warnings_in(capsys.readouterr())
    assert warning == (
        "environments 0, 1 could not be restored and began a new episode: "
        f"from step {step} on, results differ from those of an uninterrupted run."
    )
    reset = [row["environments_reset"] for row in rows(folder / "metrics.csv")]
    assert reset == ["0"] * 5 + ["2"] + ["0"] * (len(reset) - 6)
    assert len(reset) >= 8


def test_lost_environments_are_told_of_in_the_log_after_another_stop_too(tmp_path, monkeypatch):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=5 * 16 + 7)
    with monkeypatch.context() as patched:
        patched.setattr(env_recorder, "_is_same", lambda *_: False)
        stopped(monkeypatch, folder, at=3, start=go_on)
    go_on(folder)
    assert [row["environments_reset"] for row in rows(folder / "metrics.csv")][5] == "2"


@pytest.mark.parametrize(("history", "lost"), [(64, "0"), (63, "2")])
def test_episodes_that_are_too_long_to_be_remembered_are_lost(tmp_path, monkeypatch, capsys, history, lost):
    """Pendulum's last for 200 steps; an action takes 4 bytes in each of two environments."""
    monkeypatch.setattr(env_recorder, "LARGEST_HISTORY", 8 * history)
    folder = stopped(monkeypatch, tmp_path / "run", *BASE, "--env-id", "Pendulum-v1", at=4 * 16 + 7)
    go_on(folder)
    assert len(warnings_in(capsys.readouterr())) == (lost != "0")
    assert [row["environments_reset"] for row in rows(folder / "metrics.csv")][4] == lost


def stopped_in_an_evaluation(monkeypatch, folder, number):
    from ppo_np.evaluation import periodic

    play, calls = periodic.play_episode, []

    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return play(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(periodic, "play_episode", counted)
        return train(folder, *CARTPOLE, *EVALUATED, code=143)


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_an_evaluation_that_was_stopped_is_done_again(uninterrupted, tmp_path, monkeypatch, number):
    """Two episodes each after updates 3, 6 and 8, the last one."""
    folder = stopped_in_an_evaluation(monkeypatch, tmp_path / "run", number)
    assert len(rows(folder / "evaluations.csv")) == (number - 1) // 2
    assert differences(uninterrupted(CARTPOLE + EVALUATED), go_on(folder)) == []


def test_a_kill_while_an_evaluation_is_done_again_loses_nothing_of_it(uninterrupted, tmp_path, monkeypatch):
    """Between its row in evaluations.csv and its TensorBoard events; an exit there saves nothing, like a kill."""
    folder = stopped_in_an_evaluation(monkeypatch, tmp_path / "run", 4)
    with monkeypatch.context() as patched:
        patched.setattr(TensorBoardLogger, "log_scalars", lambda *_: sys.exit(137))
        go_on(folder, code=137)
    assert differences(uninterrupted(CARTPOLE + EVALUATED), go_on(folder)) == []


def test_other_versions_are_told_of(tmp_path, monkeypatch, capsys):
    folder = stopped(monkeypatch, tmp_path / "run", *CARTPOLE, at=40)
    path = folder / "checkpoint.h5"
    arrays, attributes = unpack(path.read_bytes())
    attributes["versions"] = json.dumps(json.loads(attributes["versions"]) | {"numba": "0.1"})
    path.write_bytes(pack(arrays, attributes))
    capsys.readouterr()
    go_on(folder)
    (warning,) = warnings_in(capsys.readouterr())
    assert warning.startswith("numba was 0.1 and is ")
