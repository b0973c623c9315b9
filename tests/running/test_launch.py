"""How a run on several ranks is started, and what is said where that is not possible."""

import importlib.util
import mmap
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from commands import run

from ppo_np import UserError
from ppo_np.distributed import mpi
from ppo_np.distributed.ranks import ALONE, Ranks
from ppo_np.running import cli, launch
from ppo_np.running.signals import StopSignals
from ppo_np.train import main

SMALL = ("--env-id", "CartPole-v1", "--num-envs", "4", "--num-steps", "8", "--total-timesteps", "32")


class Started(Ranks):
    """As one of four ranks that a launcher has started."""

    rank, size = 0, 4


@pytest.fixture
def started(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "4")


@pytest.mark.parametrize(("num_envs", "cores", "expected"), [(4, 2, 2), (4, 3, 2), (6, 4, 3), (7, 4, 1), (8, 64, 8)])
def test_auto_is_one_a_core_as_far_as_the_environments_can_be_shared(monkeypatch, num_envs, cores, expected):
    monkeypatch.setattr(mpi, "cores_allowed", lambda: set(range(cores)))
    assert mpi.wanted("auto", num_envs, ALONE) == expected


@pytest.mark.parametrize(
    ("ranks", "num_envs", "expected"),
    [
        (3, 4, "num_envs is 4, but it must be a multiple of the 3 ranks that share the environments."),
        (8, 4, "num_envs is 4, but it must be a multiple of the 8 ranks that share the environments."),
    ],
)
def test_ranks_that_cannot_share_the_environments(ranks, num_envs, expected):
    with pytest.raises(UserError) as caught:
        mpi.wanted(ranks, num_envs, ALONE)
    assert str(caught.value) == expected


def test_a_launcher_decides(started):
    assert mpi.wanted(4, 8, Started()) == mpi.wanted("auto", 8, Started()) == 4
    with pytest.raises(UserError, match="^ranks is 2, but it must be 4, as many as the launcher has started"):
        mpi.wanted(2, 8, Started())
    with pytest.raises(UserError, match="^num_envs is 6, but it must be a multiple of the 4 ranks"):
        mpi.wanted(4, 6, Started())


@pytest.mark.parametrize("ranks", ["0", "-1"])
def test_no_number_of_ranks(ranks, capsys):
    assert run(main, *SMALL, "--ranks", ranks) == cli.BAD_ARGUMENTS
    assert capsys.readouterr().err == f"error: ranks is {ranks}, but it must be an integer >= 1, or auto.\n"


@pytest.mark.parametrize("missing", ["mpi4py", "mpiexec"])
def test_the_extra_is_not_installed(missing, monkeypatch, capsys, tmp_path):
    find = importlib.util.find_spec
    spec = None if missing == "mpi4py" else object()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "mpi4py" else find(name))
    monkeypatch.setattr(launch, "find_mpiexec", lambda: None if missing == "mpiexec" else "/bin/mpiexec")
    assert run(main, *SMALL, "--ranks", "2", "--run-dir", tmp_path / "run") == cli.BAD_ARGUMENTS
    sentence = f"error: ranks is 2, but {missing} is not installed: pip install 'ppo_np[mpi]'.\n"
    assert capsys.readouterr().err == sentence
    assert not (tmp_path / "run").exists()


def test_a_launcher_has_started_it_but_mpi4py_is_not_installed(started, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mpi4py" else find(name))
    assert run(main, *SMALL) == cli.BAD_ARGUMENTS
    sentence = "error: A run that an MPI launcher has started needs mpi4py, which is not installed: "
    assert capsys.readouterr().err == f"{sentence}pip install 'ppo_np[mpi]'.\n"


def test_the_launcher_belongs_to_another_mpi(started, monkeypatch, capsys):
    """Each process is then alone in its own MPI: they would all write into the same run folder."""
    alone = SimpleNamespace(COMM_WORLD=SimpleNamespace(Get_size=lambda: 1))
    monkeypatch.setattr(mpi, "require_extra", lambda *_: None)
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(rc=SimpleNamespace(), MPI=alone))
    assert run(main, *SMALL) == cli.BAD_ARGUMENTS
    sentence = "error: MPI's launcher has started 4 processes, but MPI finds 1: is it of another MPI?\n"
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize(
    "traces",
    [
        *({rank: "0"} for rank in mpi.STARTED),
        *({rank: "0", size: "1"} for rank, size in mpi.STARTED.items()),
        {"PMI_RANK": "0", "PMI_SIZE": ""},
        {"PMIX_RANK": "0", "PMIX_NAMESPACE": "slurm.pmix.1.0"},
    ],
    ids=lambda traces: " ".join(traces),
)
def test_traces_of_a_launcher_without_several_ranks(monkeypatch, traces):
    """MPI is not looked for: where there is no launcher, MPICH ends the process."""
    for name, value in traces.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(mpi, "require_extra", lambda *_: pytest.fail("MPI is looked for"))
    assert mpi.world() is ALONE
    assert mpi.launched_size() in (0, 1)


def room_of(free):
    return lambda path: SimpleNamespace(f_bavail=free // 4096, f_frsize=4096)


@pytest.mark.parametrize(("ranks", "free", "needed"), [(2, 3_600_000, 3.7), (64, 64 << 20, 84.9)])
def test_too_little_shared_memory(monkeypatch, capsys, tmp_path, ranks, free, needed):
    monkeypatch.setattr(os, "statvfs", room_of(free))
    monkeypatch.setattr(launch, "find_mpiexec", lambda: "/bin/mpiexec")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="HYDRA build details"))
    flags = ["--env-id", "CartPole-v1", "--num-envs", "64", "--ranks", ranks, "--run-dir", tmp_path / "run"]
    assert run(main, *flags) == cli.BAD_ARGUMENTS
    assert capsys.readouterr().err == (
        f"error: ranks is {ranks}, and {mpi.SHARED_MEMORY} has {free / 1e6:.1f} MB free, but it must have {needed} MB: "
        "enlarge it (in Docker: --shm-size) or choose fewer ranks.\n"
    )
    assert not (tmp_path / "run").exists()


def test_enough_shared_memory(monkeypatch):
    monkeypatch.setattr(os, "statvfs", room_of(4 << 20))
    mpi.check_shared_memory(2)


def test_only_unused_shared_memory_is_removed(monkeypatch, tmp_path):
    """Of this user, made since then, and mapped by no process."""
    monkeypatch.setattr(mpi, "SHARED_MEMORY", tmp_path)
    for name in ("mpich_shm_1_0", "mpich_shm_2_0", "mpich_shm_3_0", "other"):
        (tmp_path / name).write_bytes(bytes(4096))
    os.utime(tmp_path / "mpich_shm_2_0", (1, 1))
    with open(tmp_path / "mpich_shm_3_0", "r+b") as file, mmap.mmap(file.fileno(), 4096):
        mpi.remove_unused_shared_memory(since=2)
        assert {path.name for path in tmp_path.iterdir()} == {"mpich_shm_2_0", "mpich_shm_3_0", "other"}
        mpi.unlink_shared_memory()
    assert {path.name for path in tmp_path.iterdir()} == {"mpich_shm_2_0", "other"}


def test_ranks_that_do_not_start(monkeypatch, capsys):
    """The launcher ends, whatever its reason is, and no rank has connected."""
    monkeypatch.setattr(launch, "find_mpiexec", lambda: "/bin/false")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert run(main, *SMALL, "--ranks", "2") == cli.FAILED
    assert capsys.readouterr().err == "error: not all ranks have started: /bin/false ended with exit code 1.\n"


def test_ranks_whose_output_nobody_reads_go_on(tmp_path, monkeypatch):
    """mpiexec would end them, because it cannot write what they print."""
    mpiexec = tmp_path / "mpiexec"
    mpiexec.write_text(f"#!/bin/sh\nfor i in 1 2 3; do echo line; done\necho whole > {tmp_path}/end\n")
    mpiexec.chmod(0o755)
    for waiting in ("fail", "wait"):  # this mpiexec starts no rank that connects
        monkeypatch.setattr(launch.Hub, waiting, lambda *_: None)
    monkeypatch.setattr(launch, "find_mpiexec", lambda: str(mpiexec))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        assert run(lambda _: launch.launch(2, "ppo_np.train", [], StopSignals())) == cli.NOT_READ
        monkeypatch.undo()
    assert (tmp_path / "end").read_text() == "whole\n"


def test_what_ranks_print_is_printed(tmp_path, monkeypatch, capfdbinary):
    """And they know which process mpiexec is."""
    mpiexec = tmp_path / "mpiexec"
    its_number = f'[ "${launch.LAUNCHER}" = $$ ] || echo another process'
    mpiexec.write_text(
        f"#!/bin/sh\n{its_number}\nprintf 'half a line '; sleep 0.01; echo and its rest; echo a warning >&2; exit 3\n"
    )
    mpiexec.chmod(0o755)
    for waiting in ("fail", "wait"):  # this mpiexec starts no rank that connects
        monkeypatch.setattr(launch.Hub, waiting, lambda *_: None)
    monkeypatch.setattr(launch, "find_mpiexec", lambda: str(mpiexec))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert run(lambda _: launch.launch(2, "ppo_np.train", [], StopSignals())) == 3
    assert capfdbinary.readouterr() == (b"half a line and its rest\n", b"a warning\n")


def test_nothing_of_mpi_is_imported_for_one_rank():
    code = """if True:
        import sys
        from ppo_np import PPO, train
        from ppo_np.distributed import lifeline
        from ppo_np.running import launch, run
        sys.exit("mpi4py" in sys.modules)
    """
    without = {name: value for name, value in os.environ.items() if name not in mpi.STARTED}
    assert subprocess.run([sys.executable, "-c", code], env=without, check=False).returncode == 0
    assert mpi.world() is ALONE
