"""Several ranks of MPI do what one process does, in one run folder; and when one ends, all end.

They need the extra `mpi`, and cores for themselves: `pytest -m mpi`.
"""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_runs import RUNS, conditions, difference, train

from ppo_np.running.launch import find_mpiexec
from ppo_np.saving.checkpoint import read_checkpoint

pytestmark = pytest.mark.mpi
HERE = Path(__file__).parent
TESTS = HERE.parent

PATIENCE = 100.0  # for whatever is waited for
AT_ONCE = 10.0  # what a fault may take to end all ranks
LONG = "1000000"
SMALL = "--num-envs 4 --num-steps 16 --num-minibatches 2 --update-epochs 2 --shared-sizes 8 --seed 0"
FLAGS = [*SMALL.split(), "--total-timesteps", "640", "--checkpoint-every", "1"]
TRAIN = [sys.executable, "-m", "ppo_np.train"]


def mpiexec(size, *command):
    return [find_mpiexec(), "-n", str(size), *map(str, command)]


def flags(env_id, folder, *more):
    return [*FLAGS, "--env-id", env_id, "--run-dir", str(folder), *map(str, more)]


def run(*command):
    """Exit code, stdout and stderr of a command."""
    done = subprocess.run(list(map(str, command)), cwd=TESTS, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def rows_of(folder, name="metrics.csv"):
    """The rows of a run's log, without times."""
    with open(folder / name, newline="") as file:
        return [{k: v for k, v in row.items() if "time" not in k and k != "SPS"} for row in csv.DictReader(file)]


def same_checkpoint(one, other, tolerance=0.0):
    one, other = read_checkpoint(one / "checkpoint.h5"), read_checkpoint(other / "checkpoint.h5")
    assert one.counters == other.counters and one.rng == other.rng
    for field in ("tensors", "normalizer"):
        assert getattr(one, field).keys() == getattr(other, field).keys()
        for name, tensor in getattr(one, field).items():
            assert difference(tensor.reshape(-1), getattr(other, field)[name].reshape(-1)) <= tolerance, name
    return one, other


# --- the same maths


@pytest.fixture(scope="module", params=[2, 4])
def size(request):
    return request.param


@pytest.fixture(scope="module", params=["float64", "float32"])
def together(request, size, tmp_path_factory):
    """What ranks have come to in all runs, and in which type."""
    path = tmp_path_factory.mktemp("ranks") / "results.npz"
    code, out, err = run(*mpiexec(size, sys.executable, HERE / "together.py", path, request.param))
    assert code == 0, out + err
    results = dict(np.load(path))
    assert results.pop("size") == size
    return request.param, results


@pytest.mark.parametrize("name", RUNS)
def test_ranks_do_what_one_process_does(together, name):
    dtype, results = together
    with conditions(name, np.dtype(dtype).type):
        alone = train(name)
    for part, array in alone.items():
        tolerance = 1e-12 if dtype == "float64" else {"params": 1e-5}.get(part, 1e-2)
        assert difference(results[f"{name}/{part}"], array) <= tolerance, part


@pytest.mark.parametrize("turns", [2, 1])
def test_sums_through_shared_memory(size, turns):
    """Right however late the ranks are; with the planted bug of a single turn, wrong."""
    code, out, err = run(*mpiexec(size, sys.executable, HERE / "sums.py", turns))
    wrong, messages = out.split()
    assert (code, messages) == (0, "{2}"), err  # one array of each type has no room
    assert wrong == "0" if turns == 2 else int(wrong) > 0


# --- one run folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run on two ranks with everything: evaluation, normalisation, and so on; and the same run on one."""
    folder = tmp_path_factory.mktemp("whole")
    more = ["--norm-obs", "--norm-reward", "--eval-every", "4", "--eval-episodes", "3"]
    for ranks in (1, 2):
        code, out, err = run(*TRAIN, *flags("CartPole-v1", folder / str(ranks), *more, "--ranks", ranks))
        assert (code, err) == (0, ""), err
        assert out.count("Training finished") == out.count("Actor-critic network") == 1
    return folder


def test_the_run_is_that_of_one_process(whole):
    one, other = same_checkpoint(whole / "1", whole / "2", 1e-5)
    assert (one.ranks, other.ranks) == (1, 2)
    for name, array in one.environments.arrays().items():
        np.testing.assert_array_equal(getattr(other.environments, name), array, name)
    np.testing.assert_array_equal(one.recent_episodes, other.recent_episodes)
    names = sorted(re.sub("tfevents.*", "tfevents", path.name) for path in (whole / "1").iterdir())
    assert names == sorted(re.sub("tfevents.*", "tfevents", path.name) for path in (whole / "2").iterdir())
    assert rows_of(whole / "1", "evaluations.csv") == rows_of(whole / "2", "evaluations.csv")
    for mine, his in zip(rows_of(whole / "1"), rows_of(whole / "2"), strict=True):
        assert mine.keys() == his.keys()
        for column, value in mine.items():
            assert value == his[column] or float(value) == pytest.approx(float(his[column]), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("ranks", [2, 1])
def test_a_run_goes_on_with_any_number_of_ranks(whole, tmp_path, ranks):
    """With the same number bit by bit; otherwise it says that it may not be."""
    steps, folder = 640, tmp_path / "run"
    more = ["--norm-obs", "--norm-reward", "--eval-every", "4", "--eval-episodes", "3", "--ranks", "2"]
    arguments = flags("CartPole-v1", folder, *more)
    process = subprocess.Popen([*TRAIN, *arguments], cwd=TESTS, stdout=subprocess.DEVNULL)
    wait_for_updates(folder, process, 3)
    process.terminate()
    assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert read_checkpoint(folder / "checkpoint.h5").counters["global_step"] < steps
    again = [] if ranks == 2 else ["--ranks", ranks]  # as many as before, unless it is told another number
    code, _, err = run(*TRAIN, "--resume", folder, *again)
    assert code == 0
    same_checkpoint(folder, whole / "2", 0.0 if ranks == 2 else 1e-4)
    if ranks == 2:
        assert err == ""
        assert rows_of(folder) == rows_of(whole / "2")
    else:
        assert f"warning: the number of ranks was 2 and is {ranks}: results can differ in the last bits." in err
    assert rows_of(folder, "evaluations.csv") == rows_of(whole / "2", "evaluations.csv")


def test_a_launcher_may_start_the_ranks(whole, tmp_path):
    arguments = flags("CartPole-v1", tmp_path / "run", "--norm-obs", "--norm-reward", "--eval-every", "4")
    code, out, err = run(*mpiexec(2, *TRAIN, *arguments, "--eval-episodes", "3"))
    assert (code, err) == (0, ""), err
    assert out.count("Training finished") == 1
    same_checkpoint(tmp_path / "run", whole / "2")


# --- mistakes


@pytest.mark.parametrize("by_launcher", [False, True])
def test_environments_that_cannot_be_shared_evenly(tmp_path, by_launcher):
    arguments = flags("CartPole-v1", tmp_path / "run")
    command = mpiexec(3, *TRAIN, *arguments) if by_launcher else [*TRAIN, *arguments, "--ranks", "3"]
    code, out, err = run(*command)
    sentence = "error: num_envs is 4, but it must be a multiple of the 3 ranks that share the environments.\n"
    assert (code, out, err) == (2, "", sentence)
    assert not (tmp_path / "run").exists()


def test_mistakes_are_told_once(tmp_path):
    code, _, err = run(*mpiexec(2, *TRAIN, "--no-such-flag"))
    assert code == 2 and err.count("no-such-flag") == 1
    code, out, _ = run(*mpiexec(2, *TRAIN, "--help"))
    assert code == 0 and out.count("usage:") == 1
    code, out, err = run(*mpiexec(2, *TRAIN, *flags("CartPole-v7", tmp_path / "run")))
    assert code == 2 and err.startswith("error: env_id is 'CartPole-v7', but") and err.count("\n") == 1
    code, out, err = run(*mpiexec(2, *TRAIN, *flags("CartPole-v1", tmp_path / "run", "--ranks", "4")))
    assert (code, err) == (2, "error: ranks is 4, but it must be 2, as many as the launcher has started.\n")


# --- faults


def wait_for_updates(folder, process, updates):
    metrics, deadline = folder / "metrics.csv", time.monotonic() + PATIENCE
    while not (metrics.exists() and metrics.read_text().count("\n") > updates):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def processes_of(folder):
    """All living processes of the run with this folder: command lines are inherited by workers. By rank, if known."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line, around = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            continue
        if alive and str(folder).encode() in line and int(entry.name) != os.getpid():
            rank = re.search(rb"\0PMI_RANK=(\d+)", b"\0" + around)
            found[int(entry.name)] = int(rank[1]) if rank else None
    return found


def shared_memory():
    """What MPICH has left under a name."""
    return set(Path("/dev/shm").glob("mpich*"))


class Ranks:
    """A long run on two ranks with environments in worker processes, which is ended."""

    def __init__(self, folder, env_id="CartPole-v1", *more, by_launcher=False):
        self.folder = folder
        self.shared_memory = shared_memory()
        arguments = flags(env_id, folder, "--vectorization", "async", "--total-timesteps", LONG, *more)
        command = mpiexec(2, *TRAIN, *arguments) if by_launcher else [*TRAIN, *arguments, "--ranks", "2"]
        self.process = subprocess.Popen(
            command, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def pid_of(self, rank):
        """The rank itself: the others with its number are its workers, which were started later."""
        return min(pid for pid, its_rank in processes_of(self.folder).items() if its_rank == rank)

    def finish(self, since=None):
        """Exit code and stderr; no process and no memory of MPICH's is left, and the checkpoint is whole."""
        out, err = self.process.communicate(timeout=PATIENCE)
        while processes_of(self.folder) and time.monotonic() < (since or time.monotonic()) + AT_ONCE:
            time.sleep(0.02)
        assert processes_of(self.folder) == {}
        assert shared_memory() <= self.shared_memory
        if since is not None:
            assert time.monotonic() - since < AT_ONCE
        assert read_checkpoint(self.folder / "checkpoint.h5").counters["update"] >= 0
        self.out = out
        return self.process.returncode, err


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed(tmp_path, rank):
    ranks = Ranks(tmp_path / "run")
    wait_for_updates(tmp_path / "run", ranks.process, 2)
    pid = ranks.pid_of(rank)
    os.kill(pid, signal.SIGKILL)
    code, err = ranks.finish(time.monotonic())
    assert code == 1
    assert re.fullmatch(
        rf"error: rank {rank} \(process {pid} on .+\) has died without an error message: all ranks end\.\n", err
    )


def test_a_rank_that_is_killed_under_a_launcher(tmp_path):
    """Which then ends all by itself; ours may or may not have the time to say which one it was."""
    ranks = Ranks(tmp_path / "run", by_launcher=True)
    wait_for_updates(tmp_path / "run", ranks.process, 2)
    pid = ranks.pid_of(1)
    os.kill(pid, signal.SIGKILL)
    code, err = ranks.finish(time.monotonic())
    assert code != 0
    assert str(pid) in ranks.out + err


@pytest.mark.parametrize(("rank", "number"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_a_signal_to_one_rank_stops_all_after_the_update(tmp_path, rank, number):
    ranks = Ranks(tmp_path / "run")
    wait_for_updates(tmp_path / "run", ranks.process, 2)
    os.kill(ranks.pid_of(rank), number)
    code, err = ranks.finish(time.monotonic())
    assert code == 128 + number
    told = ["\nstopping after the present update; a second signal ends all ranks at once\n"]
    assert err == [*told, f"rank 1 got signal {number.value}: all ranks have stopped.\n"][rank]
    assert "Training interrupted" in ranks.out
    updates = read_checkpoint(tmp_path / "run" / "checkpoint.h5").counters["update"]
    assert len(rows_of(tmp_path / "run")) == updates


def test_a_signal_in_an_update_that_takes_too_long(tmp_path):
    ranks = Ranks(tmp_path / "run", "broken:Slow-v0", "--vectorization", "sync")
    wait_for_updates(tmp_path / "run", ranks.process, 0)
    while not (tmp_path / "run" / "checkpoint.h5").exists():
        time.sleep(0.02)
    time.sleep(0.5)
    os.kill(ranks.pid_of(1), signal.SIGTERM)
    code, err = ranks.finish(time.monotonic())
    assert code == 128 + signal.SIGTERM
    assert err == "error: rank 1: signal 15 came, and the ranks could not stop together within 8 s.\n"


def test_a_signal_to_the_command_reaches_the_ranks(tmp_path):
    ranks = Ranks(tmp_path / "run")
    wait_for_updates(tmp_path / "run", ranks.process, 2)
    ranks.process.send_signal(signal.SIGINT)
    code, err = ranks.finish(time.monotonic())
    assert code == 130
    assert err == "\nstopping after the present update; a second signal ends all ranks at once\n"


def test_a_command_that_is_killed_takes_its_ranks_along(tmp_path):
    ranks = Ranks(tmp_path / "run")
    wait_for_updates(tmp_path / "run", ranks.process, 2)
    ranks.process.kill()
    _, err = ranks.finish(time.monotonic())
    assert err == "error: the process that started the ranks has died without an error message: all ranks end.\n"


@pytest.mark.parametrize("by_launcher", [False, True])
def test_an_exception_in_an_environment_of_one_rank(tmp_path, by_launcher):
    ranks = Ranks(tmp_path / "run", "faulty:Raising-v0", by_launcher=by_launcher)
    code, err = ranks.finish()
    said = r"environment 2 raised RuntimeError: the simulator is gone \(faulty\.py, line \d+\)"
    assert code == 1
    assert re.fullmatch(rf"error: rank 1: In step 13, {said}\.\n", err), err


def test_a_number_of_one_rank_s_environment_that_is_not_finite(tmp_path):
    ranks = Ranks(tmp_path / "run", "faulty:NaN-v0")
    code, err = ranks.finish()
    assert code == 1
    assert err.startswith("error: rank 1: In step 13, environment 2 gave the reward nan, but it must be ")
    assert err.count("\n") == 1
    code, out, _ = run(sys.executable, "-m", "ppo_np.replay", tmp_path / "run" / "crash.h5")
    assert "nan" in out


def test_a_bug_in_one_rank_keeps_its_traceback(tmp_path):
    ranks = Ranks(tmp_path / "run", "broken:Bug-v0", "--vectorization", "sync")
    code, err = ranks.finish()
    assert code == 1
    assert err.startswith("rank 1: Traceback (most recent call last):\n")
    assert err.endswith("\nbroken.Bug: on rank 1\n") and err.count("Traceback") == 1


def test_cores_are_shared_by_the_ranks_of_a_host():
    write = "sys.stdout.write(f'{world().cores}\\n')"  # a line in one write
    program = f"import sys; from ppo_np.distributed.mpi import world; {write}"
    code, out, err = run(*mpiexec(2, sys.executable, "-c", program))
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert (code, out.split()) == (0, [str(share)] * 2), err
