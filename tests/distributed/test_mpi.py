"""Several ranks of MPI do what one process does, in one run folder.

They need the extra `mpi`, and cores for themselves: `pytest -m mpi`.
"""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from mpi_runs import HERE, PATIENCE, TESTS, TRAIN, flags, mpiexec, rows_of, run, wait_for_updates
from small_runs import RUNS, conditions, difference, train

from ppo_np.saving.checkpoint import read_checkpoint

pytestmark = pytest.mark.mpi


def same_checkpoint(one, other, tolerance=0.0):
    one, other = read_checkpoint(one / "checkpoint.h5"), read_checkpoint(other / "checkpoint.h5")
    assert one.counters == other.counters and one.rng == other.rng
    for field in ("tensors", "normalizer"):
        assert getattr(one, field).keys() == getattr(other, field).keys()
        for name, tensor in getattr(one, field).items():
            assert difference(tensor.reshape(-1), getattr(other, field)[name].reshape(-1)) <= tolerance, name
    return one, other


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


def test_cores_are_shared_by_the_ranks_of_a_host():
    write = "sys.stdout.write(f'{world().cores}\\n')"  # a line in one write
    program = f"import sys; from ppo_np.distributed.mpi import world; {write}"
    code, out, err = run(*mpiexec(2, sys.executable, "-c", program))
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert (code, out.split()) == (0, [str(share)] * 2), err
