"""The hub of the ranks: who is let in, what it says when a rank dies or never comes; strangers do not matter."""

import os
import signal
import socket
import time
from contextlib import ExitStack

import pytest

from ppo_np.distributed import hub as hub_module
from ppo_np.distributed import lifeline, mpi
from ppo_np.distributed.hub import BYE, END, STRANGER_BYTES, STRANGERS, Hub
from ppo_np.distributed.lifeline import HUB, LAUNCHER, Lifeline

SOON = 5.0


class Harness:
    """A hub, what it has ended with, and sockets that are closed in the end."""

    def __init__(self, at_end):
        self.at_end, self.ended = at_end, []
        self.hub = Hub(2, False, self.ended.append)
        self.host, self.port, self.key, self.answer = self.hub.address.split(" ")

    def connect(self, data=b""):
        connection = self.at_end.enter_context(socket.create_connection((self.host, int(self.port)), SOON))
        connection.sendall(data)
        return connection

    def join(self, rank):
        return self.connect(f"{self.key} {rank} {4711 + rank} alice\n".encode())

    def join_all(self):
        ranks = [self.join(0), self.join(1)]
        for rank in ranks:
            assert rank.recv(100) == f"{self.answer}\n".encode()
        return ranks


@pytest.fixture
def harness():
    with ExitStack() as at_end:
        harness = Harness(at_end)
        at_end.callback(harness.hub.wait)
        at_end.callback(harness.hub.fail, 0, "")
        yield harness


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


DIED = "error: rank 1 (process 4712 on alice) has died without an error message: all ranks end.\n"


def test_ranks_that_leave_and_ranks_that_die(harness, capsys):
    zero, one = harness.join_all()
    one.close()
    assert zero.recv(100) == END + b" 1\n"
    zero.close()
    harness.hub.wait()
    assert (harness.ended, capsys.readouterr().err) == ([1], DIED)
    assert harness.hub.pid_of_rank_0 == 4711 and not harness.hub.stuck


def test_all_leave(harness, capsys):
    for rank in harness.join_all():
        rank.sendall(BYE + b"\n")
    harness.hub.wait()
    harness.hub.fail(1, "the launcher has ended")
    assert (harness.ended, capsys.readouterr().err) == ([], "")


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000 + b"\n",
        b"x" * 3_000_000,
        b"\xff\xfe\n",
        b'["key", 0, 1, "alice"]\n',
        b"0" * 32 + b" 1 2 mallory\n",
        b"\n" * 1000,
        b"",
        b"half a line",
    ],
    ids=["nested", "endless", "bytes", "json", "another key", "empty lines", "mute", "half a line"],
)
def test_strangers_do_not_matter(harness, capsys, data):
    """Neither do they keep ranks out, nor do they delay the news of a death."""
    zero = harness.join(0)
    try:
        stranger = harness.connect(data)
    except (ConnectionResetError, BrokenPipeError):  # in the midst of too long a line
        stranger = None
    one = harness.join(1)
    begun = time.monotonic()
    assert one.recv(100) == zero.recv(100) == f"{harness.answer}\n".encode()
    assert stranger is None or is_closed(stranger)
    one.close()
    assert zero.recv(100) == END + b" 1\n"
    assert time.monotonic() - begun < SOON
    assert capsys.readouterr().err == DIED


def test_a_line_of_a_stranger_is_not_kept(harness):
    with pytest.raises(ConnectionError):
        stranger = harness.connect(b"x" * (STRANGER_BYTES + 1))
        while not is_closed(stranger):
            pass
        raise ConnectionResetError


def test_only_so_many_strangers_are_kept_and_not_for_long(harness, monkeypatch):
    strangers = [harness.connect() for _ in range(STRANGERS + 2)]
    assert is_closed(strangers[0]) and is_closed(strangers[1])
    monkeypatch.setattr(hub_module, "STRANGER_TIMEOUT", 0.01)
    assert is_closed(harness.connect())
    harness.join_all()


def test_when_all_are_here_nobody_else_is_let_in(harness):
    harness.join_all()
    with pytest.raises(ConnectionRefusedError):
        harness.connect()


def test_a_rank_comes_once(harness):
    harness.join(0)
    assert is_closed(harness.join(0))
    assert is_closed(harness.join(2))
    assert harness.join(1).recv(100) == f"{harness.answer}\n".encode()


def test_a_rank_that_never_starts(harness, monkeypatch, capsys):
    monkeypatch.setattr(hub_module, "START_TIMEOUT", 0.01)
    slow = Harness(harness.at_end)
    slow.hub.wait()
    assert slow.ended == [1] and slow.hub.stuck
    late = "error: not started within 0.01 s: rank 0, rank 1; all ranks end.\n"
    assert capsys.readouterr().err == late


def test_the_launching_process_ends_all(harness, monkeypatch, capsys):
    monkeypatch.setattr(hub_module, "END_TIMEOUT", 0.01)
    monkeypatch.setattr(hub_module, "KILL_TIMEOUT", 0.01)
    zero, one = harness.join_all()
    harness.hub.fail(143, "error: too late")
    harness.hub.wait()
    assert zero.recv(100) == one.recv(100) == END + b" 143\n"
    assert (harness.ended, harness.hub.stuck) == ([143], True)  # as if they were stopped
    assert capsys.readouterr().err == "error: too late\n"


@pytest.mark.parametrize(
    ("name", "resolved", "bound", "dialled"),
    [
        ("alice", "192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("alice", "127.0.1.1", "", "alice.example.org"),
        ("", "192.0.2.7", "", "alice.example.org"),
    ],
)
def test_the_interface_is_the_one_that_the_launcher_knows(monkeypatch, name, resolved, bound, dialled):
    asked = []
    monkeypatch.setenv("PMI_HOSTNAME", name)
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    monkeypatch.setattr(socket, "gethostbyname", lambda _: resolved)
    monkeypatch.setattr(socket, "getfqdn", lambda: "alice.example.org")
    monkeypatch.setattr(socket, "create_server", lambda address, backlog: asked.append(address))
    assert hub_module._listen(True, 2) == (None, dialled)
    assert asked == [(bound, 0)]


@pytest.fixture
def of_rank_1(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")


def test_a_rank_that_is_refused_ends_all(of_rank_1, monkeypatch):
    """The process that started the ranks has died before this one could connect."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv(HUB, f"127.0.0.1 {port} key answer")
    monkeypatch.setattr(lifeline, "_end_without_launcher", lambda rank: pytest.exit(f"rank {rank}"))
    with pytest.raises(pytest.exit.Exception, match="rank 1"):
        Lifeline.to_launcher()


def test_ranks_without_their_launching_process_end_its_launcher(monkeypatch, capsys):
    """After it has had time to pass the message on; ranks that are stopped end only with it."""
    done = []
    monkeypatch.setenv(LAUNCHER, "4711")
    monkeypatch.setattr(lifeline.time, "sleep", lambda seconds: done.append((seconds, capsys.readouterr().err)))
    for module, name in ((lifeline, "unlink_shared_memory"), (os, "killpg"), (os, "_exit")):
        monkeypatch.setattr(module, name, lambda *arguments, name=name: done.append((name, *arguments)))
    lifeline._end_without_launcher(1)
    said = "error: the process that started the ranks has died without an error message: all ranks end.\n"
    ended = [("unlink_shared_memory",), ("killpg", 4711, signal.SIGKILL), ("_exit", 1)]
    assert done == [(lifeline.TURN, ""), (lifeline.TURN / 2, said), *ended]


def test_whoever_is_no_rank_does_not_connect(monkeypatch):
    for name in mpi.STARTED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(HUB, "127.0.0.1 1 key answer")
    assert Lifeline.to_launcher() is None


def test_ranks_wait_for_each_other_before_mpi_is_initialised(harness, of_rank_1, monkeypatch):
    monkeypatch.setenv(HUB, harness.hub.address)
    monkeypatch.setattr(os, "register_at_fork", lambda **_: None)
    zero = harness.join(0)
    one = Lifeline.to_launcher()
    assert HUB not in os.environ  # a process that an environment starts is no rank
    assert zero.recv(100) == f"{harness.answer}\n".encode()
    one.leave()
    zero.sendall(BYE + b"\n")
    harness.hub.wait()
    assert harness.ended == []
    one._connection.close()
