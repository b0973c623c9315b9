"""Several ranks of MPI (`pytest -m mpi`): mistakes are told once, and when one rank ends, all end."""

import os
import re
import shlex
import signal
import sys
import time

import pytest
from mpi_runs import AFTER_A_SIGNAL, AT_ONCE, TRAIN, Ranks, flags, mpiexec, rows_of, run

from ppo_np.saving.checkpoint import read_checkpoint

pytestmark = pytest.mark.mpi


# MPICH's own launcher kills the other ranks when one has ended, and combines the codes of all: 9 if it was faster.
CODES = (1, 9)


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


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed(tmp_path, rank):
    ranks = Ranks(tmp_path / "run")
    ranks.wait_for_updates(2)
    pid = ranks.pid_of(rank)
    os.kill(pid, signal.SIGKILL)
    code, err = ranks.finish(time.monotonic())
    assert code == 1
    assert re.fullmatch(
        rf"error: rank {rank} \(process {pid} on .+\) has died without an error message: all ranks end\.\n", err
    )


@pytest.mark.parametrize(("victim", "limit"), [("rank 1", AT_ONCE), ("the command", AFTER_A_SIGNAL)])
def test_a_rank_whose_worker_hangs(tmp_path, victim, limit):
    """The worker does not notice that its rank has ended; it ends all the same."""
    ranks = Ranks(tmp_path / "run", "faulty:Deaf-v0")
    ranks.wait_for_updates(0)
    time.sleep(1.0)
    if victim == "rank 1":
        os.kill(ranks.pid_of(1), signal.SIGKILL)
    else:
        ranks.process.send_signal(signal.SIGTERM)
    code, err = ranks.finish(time.monotonic(), limit)
    died, late = "has died without an error message: all ranks end", "and the ranks could not stop together within 8 s"
    assert err.endswith(f"{died if victim == 'rank 1' else late}.\n") and err.count("error: ") == 1
    assert code == (1 if victim == "rank 1" else 128 + signal.SIGTERM)


def test_a_rank_that_is_killed_under_a_launcher(tmp_path):
    """Which then ends all by itself; ours may or may not have the time to say which one it was."""
    ranks = Ranks(tmp_path / "run", by_launcher=True)
    ranks.wait_for_updates(2)
    pid = ranks.pid_of(1)
    os.kill(pid, signal.SIGKILL)
    code, err = ranks.finish(time.monotonic())
    assert code != 0
    assert str(pid) in ranks.out + err


@pytest.mark.parametrize(("rank", "number"), [(0, signal.SIGINT), (1, signal.SIGTERM)])
def test_a_signal_to_one_rank_stops_all_after_the_update(tmp_path, rank, number):
    ranks = Ranks(tmp_path / "run")
    ranks.wait_for_updates(2)
    os.kill(ranks.pid_of(rank), number)
    code, err = ranks.finish(time.monotonic())
    assert code == 128 + number
    told = ["\nstopping after the present update; a second signal ends all ranks at once\n"]
    assert err == [*told, f"rank 1 got signal {number.value}: all ranks have stopped.\n"][rank]
    assert "Training interrupted" in ranks.out
    updates = read_checkpoint(tmp_path / "run" / "checkpoint.h5").counters["update"]
    assert len(rows_of(tmp_path / "run")) == updates


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_a_shell_has_closed(tmp_path, closed):
    command = shlex.join([*TRAIN, *flags("CartPole-v1", tmp_path / "run", "--ranks", "2")])
    code, out, err = run("sh", "-c", f"{command} {closed}")
    assert (code, err) == (0, "")
    assert bool(out) == (closed == "2>&-")
    assert len(rows_of(tmp_path / "run")) == 10


def test_a_signal_in_an_update_that_takes_too_long(tmp_path):
    ranks = Ranks(tmp_path / "run", "broken:Slow-v0", "--vectorization", "sync")
    ranks.wait_for_updates(0)
    while not (tmp_path / "run" / "checkpoint.h5").exists():
        time.sleep(0.02)
    time.sleep(0.5)
    os.kill(ranks.pid_of(1), signal.SIGTERM)
    code, err = ranks.finish(time.monotonic(), AFTER_A_SIGNAL)
    assert code == 128 + signal.SIGTERM
    assert err == "error: rank 1: signal 15 came, and the ranks could not stop together within 8 s.\n"


def test_a_signal_while_a_rank_waits_inside_mpi_for_one_that_sleeps(tmp_path):
    """Python calls no handler there."""
    ranks = Ranks(tmp_path / "run", "broken:Asleep-v0", "--vectorization", "sync")
    ranks.wait_for_updates(2)
    time.sleep(0.5)
    os.kill(ranks.pid_of(0), signal.SIGTERM)
    code, err = ranks.finish(time.monotonic(), AFTER_A_SIGNAL)
    assert code == 128 + signal.SIGTERM
    assert err == "error: rank 0: signal 15 came, and the ranks could not stop together within 8 s.\n"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_the_command_while_a_rank_is_stopped(tmp_path, rank):
    ranks = Ranks(tmp_path / "run")
    ranks.wait_for_updates(2)
    os.kill(ranks.pid_of(rank), signal.SIGSTOP)
    ranks.process.send_signal(signal.SIGINT)
    code, err = ranks.finish(time.monotonic(), AFTER_A_SIGNAL)
    assert code == 130
    *stopping, message = filter(None, err.splitlines())
    assert re.fullmatch(r"error: (rank 0: )?signal 2 came, and the ranks could not stop together within 8 s\.", message)
    assert stopping in ([], ["stopping after the present update; a second signal ends all ranks at once"])


def test_a_rank_that_cannot_reach_the_others(tmp_path):
    """The hub is in rank 0, and the network does not let rank 1 through."""
    program = """if True:
        import os, socket, sys
        from ppo_np import train
        def refuse(*_):
            raise OSError("No route to host")
        if os.environ["PMI_RANK"] == "1":
            socket.create_connection = refuse
        sys.exit(train.main(sys.argv[1:]))
    """
    code, _, err = run(*mpiexec(2, sys.executable, "-c", program, *flags("CartPole-v1", tmp_path / "run")))
    assert code in CODES
    assert re.fullmatch(r"error: rank 1 on .+ cannot reach rank 0: No route to host: all ranks end\.\n", err)
    assert not (tmp_path / "run").exists()


def test_traces_of_another_launcher_do_not_matter(tmp_path, monkeypatch):
    monkeypatch.setenv("PMIX_RANK", "0")
    monkeypatch.setenv("PMIX_NAMESPACE", "slurm.pmix.1.0")
    code, _, err = run(*TRAIN, *flags("CartPole-v1", tmp_path / "run", "--total-timesteps", "64", "--ranks", "2"))
    assert (code, err) == (0, "")


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_to_the_command_reaches_the_ranks(tmp_path, times):
    """Also if it is sent twice, as `timeout` does."""
    ranks = Ranks(tmp_path / "run")
    ranks.wait_for_updates(2)
    for _ in range(times):
        ranks.process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    code, err = ranks.finish(time.monotonic())
    assert code == 130
    assert err == "\nstopping after the present update; a second signal ends all ranks at once\n"


def test_a_command_that_is_killed_takes_its_ranks_along(tmp_path):
    ranks = Ranks(tmp_path / "run")
    ranks.wait_for_updates(2)
    ranks.process.kill()
    _, err = ranks.finish(time.monotonic())
    assert err == "error: the process that started the ranks has died without an error message: all ranks end.\n"


@pytest.mark.parametrize("other", ["stopped", "asleep"])
def test_a_command_that_is_killed_and_its_launcher_does_not_notice_that_rank_0_ends(tmp_path, other):
    """Because another process keeps its pipes open."""
    ranks = Ranks(tmp_path / "run", "broken:Forking-v0", "--vectorization", "sync")
    ranks.wait_for_updates(2)
    if other == "stopped":
        os.kill(ranks.pid_of(1), signal.SIGSTOP)
    ranks.process.kill()
    _, err = ranks.finish(time.monotonic())
    assert err == "error: the process that started the ranks has died without an error message: all ranks end.\n"


@pytest.mark.parametrize("by_launcher", [False, True])
def test_an_exception_in_an_environment_of_one_rank(tmp_path, by_launcher):
    ranks = Ranks(tmp_path / "run", "faulty:Raising-v0", by_launcher=by_launcher)
    code, err = ranks.finish()
    said = r"environment 2 raised RuntimeError: the simulator is gone \(faulty\.py, line \d+\)"
    assert code in CODES if by_launcher else code == 1
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
