"""The hub that the connections of all ranks lead to: `ppo_np.distributed.lifeline` has their other ends."""

import hmac
import json
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

GRACE = 1.0  # seconds in which rank 0 may report its own failure, which is then printed instead of another rank's
END_TIMEOUT = 0.5  # seconds in which a rank must have ended when it is told to,
KILL_TIMEOUT = 5.0  # or when the launcher was killed, which kills its processes
START_TIMEOUT = 120.0  # seconds in which all ranks must have connected
STRANGER_TIMEOUT = 10.0  # seconds in which a new connection must have sent its first line,
STRANGER_BYTES = 512  # of so many bytes at most;
STRANGERS = 64  # so many such connections are kept
BYE, END = b"bye", b"end"
OWN = -1  # instead of a rank's number, for the hub's own process


class _Connection:
    """A connection whose lines are read as they come. It is a stranger's until its first line has held the key."""

    def __init__(self, its_socket: socket.socket):
        its_socket.setblocking(False)
        self.socket = its_socket
        self.rank: int | None = None
        self.name = ""
        self.until = time.monotonic() + STRANGER_TIMEOUT
        self._received = b""

    def read(self) -> list[bytes]:
        """The lines that are complete by now; the last one is empty if the connection is broken."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        *lines, self._received = (self._received + data).split(b"\n")
        too_long = self.rank is None and len(self._received) > STRANGER_BYTES
        return [line.strip() for line in lines] + ([] if data and not too_long else [b""])

    def send(self, line: bytes) -> None:
        """Send a line, if that is still possible."""
        with suppress(OSError):
            self.socket.sendall(line + b"\n")


class Hub:
    """Waits until all ranks have left. If one fails, prints why and ends all others.

    A rank's first line is the key, its number, process and host. When all ranks have connected, they get the answer,
    and no more connections are accepted.

    Args:
        size: number of ranks.
        several_hosts: whether ranks on other hosts connect.
        end: called with an exit code after a failure was printed and all other ranks were told to end.
        inside: whether this process is rank 0.

    Attributes:
        address: host, port, key and answer, for `Lifeline`.
        pid_of_rank_0: 0 until rank 0 has connected.
        stuck: whether a rank has not ended when it was told to: it has not connected yet, is stopped, or waits inside
            MPI's initialisation.
    """

    def __init__(self, size: int, several_hosts: bool, end: Callable[[int], None], inside: bool = False):
        self._end, self._inside = end, inside
        self._server, host = _listen(several_hosts, size + STRANGERS)
        self._server.setblocking(False)
        self._key, self._answer = (os.urandom(16).hex().encode() for _ in range(2))
        self.address = f"{host} {self._server.getsockname()[1]} {self._key.decode()} {self._answer.decode()}"
        self.pid_of_rank_0 = 0
        self.stuck = False
        self._absent = set(range(size))  # ranks that have not connected yet
        self._members: dict[int, _Connection] = {}
        self._strangers: list[_Connection] = []
        self._failure: tuple[int, str] | None = None  # exit code and message
        self._fail_at = time.monotonic() + START_TIMEOUT
        self._own_end, other_end = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._own = _Connection(other_end)
        self._own.rank = OWN
        self._selector.register(other_end, selectors.EVENT_READ, self._own)
        self._thread = threading.Thread(target=self._watch, name="ppo_np-hub", daemon=True)
        self._thread.start()

    def fail(self, code: int, text: str) -> None:
        """End all ranks, unless all have left or one has failed. Safe in a signal handler."""
        with suppress(OSError):
            self._own_end.sendall(_line(code, text))

    def wait(self) -> None:
        """Wait until all ranks have left or have been ended."""
        self._thread.join()

    def _watch(self) -> None:
        try:
            self._serve()
        finally:
            connections = [self._own, *self._strangers, *self._members.values()]
            for each in [self._server, self._own_end, *(connection.socket for connection in connections)]:
                each.close()
            self._selector.close()

    def _serve(self) -> None:
        while self._absent or self._members:
            now = time.monotonic()
            for stranger in [stranger for stranger in self._strangers if now >= stranger.until]:
                self._drop(stranger)
            if now >= self._fail_at:
                missing = ", ".join(f"rank {rank}" for rank in sorted(self._absent))
                late = f"error: not started within {START_TIMEOUT:g} s: {missing}; all ranks end."
                self._end_all(*self._failure or (1, late))
                return
            times = [self._fail_at, *(stranger.until for stranger in self._strangers)]
            events = self._selector.select(min(min(times) - now, 1e6))
            for key, _ in sorted(events, key=lambda event: event[0].data is self._own):  # what ranks say goes first
                if key.data is None:
                    self._accept()
                    continue
                for line in key.data.read():
                    self._hear(key.data, line)

    def _accept(self) -> None:
        with suppress(OSError):
            connection = _Connection(self._server.accept()[0])
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            self._strangers.append(connection)
            if len(self._strangers) > STRANGERS:
                self._drop(self._strangers[0])

    def _drop(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        if connection in self._strangers:
            self._strangers.remove(connection)

    def _hear(self, connection: _Connection, line: bytes) -> None:
        rank = connection.rank
        if rank is None:
            self._greet(connection, line)
        elif line == BYE:
            self._drop(self._members.pop(rank))
        elif self._members.get(rank) is connection or line:
            if not line:
                self._selector.unregister(connection.socket)
            if self._failure is None or (rank == 0 and line):
                died = f"error: {connection.name} has died without an error message: all ranks end."
                self._failure = json.loads(line) if line else (1, died)
            self._fail_at = time.monotonic() + (GRACE if line and rank > 0 else 0)

    def _greet(self, connection: _Connection, line: bytes) -> None:
        """Make a stranger that knows the key a member; drop it otherwise."""
        key, _, rest = line.partition(b" ")
        if connection not in self._strangers:
            return
        if not hmac.compare_digest(key, self._key):
            self._drop(connection)
            return
        number, pid, host = rest.decode().split(" ")
        rank = int(number)
        if rank not in self._absent:
            self._drop(connection)
            return
        connection.rank = rank
        connection.name = f"rank {rank} (process {pid} on {host})"
        self._strangers.remove(connection)
        self._members[rank] = connection
        self._absent.remove(rank)
        self.pid_of_rank_0 = int(pid) if rank == 0 else self.pid_of_rank_0
        if not self._absent:
            self._begin()

    def _begin(self) -> None:
        """All ranks are here."""
        self._selector.unregister(self._server)
        self._server.close()
        for stranger in list(self._strangers):
            self._drop(stranger)
        self._fail_at = self._fail_at if self._failure else float("inf")
        for member in self._members.values():
            member.send(self._answer)

    def _end_all(self, code: int, text: str) -> None:
        if text:
            say(text)  # first, because the launcher may end this process as soon as a rank ends
        others = [member for rank, member in self._members.items() if rank or not self._inside]
        for member in others:
            member.send(END + f" {code}".encode())
        self.stuck = bool(self._absent) or not _have_ended(others, END_TIMEOUT)
        self._end(code)
        _have_ended(others, KILL_TIMEOUT)


def _have_ended(members: Iterable[_Connection], seconds: float) -> bool:
    """Wait so long until the processes have ended; returns whether they have."""
    until, ended = time.monotonic() + seconds, True
    for member in members:
        try:
            member.socket.settimeout(max(until - time.monotonic(), 1e-3))
            while member.socket.recv(4096):
                pass
        except TimeoutError:
            ended = False
        except OSError:  # it ended without having read everything
            pass
    return ended


def _line(code: int, text: str) -> bytes:
    """A failure, as a rank reports it."""
    return json.dumps((code, text)).encode() + b"\n"


def _listen(several_hosts: bool, backlog: int) -> tuple[socket.socket, str]:
    """A listening socket, and the host to connect to. On several hosts: at the address that the launcher knows."""
    if not several_hosts:
        return socket.create_server(("127.0.0.1", 0), backlog=backlog), "127.0.0.1"
    name = os.environ.get("PMI_HOSTNAME") or os.environ.get("SLURMD_NODENAME")
    with suppress(OSError):
        address = socket.gethostbyname(name or "")
        if name and not address.startswith("127."):
            return socket.create_server((address, 0), backlog=backlog), address
    return socket.create_server(("", 0), backlog=backlog), socket.getfqdn()


def say(text: str) -> None:
    """Write a last message to stderr, after all output that was written before."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        print(text, file=sys.stderr, flush=True)
