"""Connections between the ranks: if one rank fails or dies, all ranks end, and the reason is printed once.

Each rank keeps a connection to a hub. A broken connection means that a rank has died, because the system closes the
connections of a process even if it was killed. MPI's launchers also end all ranks when one dies, but they cannot say
which rank it was, and not all of them do. The hub is a thread in the process that started MPI's launcher
(`ppo_np.running.launch`), which outlives all ranks; or in rank 0, if something else started the launcher.
"""

import json
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader
from typing import NoReturn

from ppo_np.distributed.mpi import MPIRanks

HUB = "PPO_NP_HUB"  # environment variable: host, port and key of the hub in the launching process
CONNECT_TIMEOUT = 10.0  # seconds
GRACE = 1.0  # seconds in which rank 0 may report its own failure, which is then printed instead of another rank's
BYE, END = b"bye", b"end"


class Hub:
    """Waits until all ranks have left. If one fails, prints why and ends all others.

    Args:
        size: number of ranks.
        host: "127.0.0.1", or "" for all addresses of this machine.
        end: called with an exit code after a failure was printed and all other ranks were told to end.

    Attributes:
        address: host, port and key, for `Lifeline`.
        pid_of_rank_0: 0 until rank 0 has connected.
    """

    def __init__(self, size: int, host: str, end: Callable[[int], None]):
        self._awaited = size
        self._end = end
        self._server = socket.create_server((host, 0), backlog=size)
        self._key = os.urandom(16).hex()
        self.address = f"{host or socket.getfqdn()} {self._server.getsockname()[1]} {self._key}"
        self._members: dict[int, tuple[str, socket.socket]] = {}
        self.pid_of_rank_0 = 0
        threading.Thread(target=self._watch, name="ppo_np-hub", daemon=True).start()

    def _watch(self) -> None:
        failure: tuple[int, str] | None = None  # exit code and message
        deadline: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            while self._awaited or self._members:
                for key, _ in selector.select(None if deadline is None else max(deadline - time.monotonic(), 0)):
                    if key.fileobj is self._server:
                        self._accept(selector)
                        continue
                    rank, file = key.data
                    message = _read(file)
                    if message in (BYE, b""):
                        selector.unregister(key.fileobj)
                    if message == BYE:
                        self._members.pop(rank)[1].close()
                        continue
                    if failure is None or (rank == 0 and message):
                        died = f"error: {self._members[rank][0]} has died without an error message: all ranks end."
                        failure = json.loads(message) if message else (1, died)
                    deadline = time.monotonic() + (GRACE if message and rank else 0)
                if failure and deadline and time.monotonic() >= deadline:
                    self._end_all(*failure)
                    return

    def _accept(self, selector: selectors.BaseSelector) -> None:
        """Accept the connection of a rank that knows the key."""
        connection, _ = self._server.accept()
        connection.settimeout(CONNECT_TIMEOUT)
        file = connection.makefile("rb")
        try:
            key, rank, pid, host = json.loads(_read(file))
        except (OSError, ValueError, TypeError):
            connection.close()
            return
        connection.settimeout(None)
        if key == self._key:
            self._members[rank] = f"rank {rank} (process {pid} on {host})", connection
            self.pid_of_rank_0 = pid if rank == 0 else self.pid_of_rank_0
            self._awaited -= 1
            selector.register(connection, selectors.EVENT_READ, (rank, file))

    def _end_all(self, code: int, text: str) -> None:
        say(text)  # first, because the launcher may end this process as soon as a rank ends
        connections = [connection for _, (_, connection) in sorted(self._members.items(), reverse=True)]
        for group in (connections[:-1], connections[-1:]):  # rank 0 last: this may be its own process
            for connection in group:
                with suppress(OSError):
                    connection.sendall(END + f" {code}\n".encode())
                    connection.shutdown(socket.SHUT_WR)
            for connection in group:
                with suppress(OSError):  # wait until the rank has read that and has ended
                    connection.settimeout(GRACE)
                    while connection.recv(4096):
                        pass
        self._end(code)


def _read(file: BufferedReader) -> bytes:
    with suppress(OSError):
        return file.readline().strip()
    return b""


class Lifeline:
    """A rank's connection to the hub, during the whole run. All ranks must make theirs at the same time."""

    def __init__(self, ranks: MPIRanks):
        self._rank = ranks.rank
        self._left = False
        address = os.environ.get(HUB)
        self._launched = address is not None
        if address is None:
            host = "127.0.0.1" if ranks.on_one_host else ""
            address = ranks.broadcast(lambda: Hub(ranks.size, host, os._exit).address)
        host, port, key = address.split(" ")
        connection = None
        with suppress(OSError):  # the network does not allow it: then only MPI's launcher notices a dead rank
            connection = socket.create_connection((host, int(port)), CONNECT_TIMEOUT)
            connection.settimeout(None)
            connection.sendall(json.dumps((key, ranks.rank, os.getpid(), socket.gethostname())).encode() + b"\n")
        connected = all(ranks.allgather(connection is not None))
        self._connection = connection if connected else None
        if self._connection is None:
            return
        if hasattr(os, "register_at_fork"):  # else processes that an environment starts would keep it open
            os.register_at_fork(after_in_child=self._connection.close)
        threading.Thread(target=self._listen, args=(self._connection,), name="ppo_np-lifeline", daemon=True).start()

    def _send(self, message: bytes) -> None:
        with suppress(OSError):
            if self._connection is not None:
                self._connection.sendall(message + b"\n")

    def _listen(self, connection: socket.socket) -> None:
        """End this process when the hub says so or when the hub has died."""
        message = _read(connection.makefile("rb"))
        if message.startswith(END):
            os._exit(int(message.split()[1]))
        if self._left:
            return
        if self._rank == (0 if self._launched else 1):
            hub_process = "the process that started the ranks" if self._launched else "rank 0"
            say(f"error: {hub_process} has died without an error message: all ranks end.")
        else:
            time.sleep(GRACE)
        os._exit(1)

    def fail(self, text: str, code: int) -> NoReturn:
        """End all ranks with this exit code, after `text` was printed once; does not return."""
        if self._connection is not None:
            self._send(json.dumps((code, text)).encode())
            time.sleep(5 * GRACE)  # in this time the hub prints the message and ends all ranks
        else:
            say(text)
        os._exit(code)

    def fail_after(self, seconds: float, text: str, code: int) -> None:
        """End all ranks as `fail` does, unless this rank leaves within so many seconds."""

        def fail_unless_left() -> None:
            if not self._left:
                self.fail(text, code)

        timer = threading.Timer(seconds, fail_unless_left)
        timer.daemon = True
        timer.start()

    def leave(self) -> None:
        """Tell the hub that this rank ends normally: from now on, its end is not a failure."""
        self._left = True
        self._send(BYE)


def say(text: str) -> None:
    """Write a last message to stderr, after all output that was written before."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        print(text, file=sys.stderr, flush=True)
