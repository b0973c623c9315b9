"""Connections between the ranks by which the end of one, however it comes, is the end of all, told once.

Each rank keeps a connection to a hub, on which nothing is said in a run that goes well. Where one breaks, a rank has
died: the system closes the connections of a process, even of one that was killed. MPI's launchers end all ranks as
well when one dies, but cannot say which rank that was, and not all of them do.

The hub is a thread: of the process that started MPI's launcher (`ppo_np.running.launch`) and outlives all ranks; or of
rank 0, if something else started the launcher.
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

from ppo_np.distributed.mpi import MPIRanks

HUB = "PPO_NP_HUB"  # environment variable: host, port and key of the hub in the launching process
CONNECT_TIMEOUT = 10.0  # seconds
GRACE = 1.0  # seconds for rank 0 to fail by itself, in its own words, before another rank's are repeated
BYE, END = b"bye", b"end"


class Hub:
    """Waits for the end of the ranks, and tells why if it is not the one that they have announced.

    Args:
        size: how many ranks there are.
        host: "127.0.0.1", or "" for all that this machine is known by.
        end: called with an exit code when a rank has failed, that has been told, and all others know it.

    Attributes:
        address: for `Lifeline`: host, port, key.
        pid_of_rank_0: 0 until it has connected.
    """

    def __init__(self, size: int, host: str, end: Callable[[int], None]):
        self._awaited, self._end = size, end
        self._server = socket.create_server((host, 0), backlog=size)
        self._key = os.urandom(16).hex()
        self.address = f"{host or socket.getfqdn()} {self._server.getsockname()[1]} {self._key}"
        self._members: dict[int, tuple[str, socket.socket]] = {}
        self._words: tuple[int, str] | None = None
        self.pid_of_rank_0 = 0
        threading.Thread(target=self._watch, name="ppo_np-hub", daemon=True).start()

    def _watch(self) -> None:
        deadline = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            while self._awaited or self._members:
                ready = selector.select(None if deadline is None else max(deadline - time.monotonic(), 0))
                for key, _ in ready:
                    if key.fileobj is self._server:
                        self._welcome(selector)
                        continue
                    rank, file = key.data
                    said = _read(file)
                    if said == BYE:
                        selector.unregister(key.fileobj)
                        self._members.pop(rank)[1].close()
                        continue
                    if self._words is None or (rank == 0 and said):
                        self._words = self._words_of(rank, said)
                    deadline = time.monotonic() + (GRACE if said and rank else 0)
                    if not said:
                        selector.unregister(key.fileobj)
                if deadline is not None and time.monotonic() >= deadline:
                    self._end_all()
                    return

    def _welcome(self, selector: selectors.BaseSelector) -> None:
        """Let a rank in that knows the key."""
        line, _ = self._server.accept()
        line.settimeout(CONNECT_TIMEOUT)
        file = line.makefile("rb")
        try:
            key, rank, pid, host = json.loads(_read(file))
        except (OSError, ValueError, TypeError):
            line.close()
            return
        line.settimeout(None)
        if key == self._key:
            self._members[rank] = f"rank {rank} (process {pid} on {host})", line
            self.pid_of_rank_0 = pid if rank == 0 else self.pid_of_rank_0
            self._awaited -= 1
            selector.register(line, selectors.EVENT_READ, (rank, file))

    def _words_of(self, rank: int, said: bytes) -> tuple[int, str]:
        if said:
            code, text = json.loads(said)
            return code, text
        return 1, f"error: {self._members[rank][0]} has died, without a word: all ranks end."

    def _end_all(self) -> None:
        code, text = self._words
        say(text)  # first: whoever ends may move a launcher to end this process as well
        lines = [line for _, (_, line) in sorted(self._members.items(), reverse=True)]
        for group in (lines[:-1], lines[-1:]):  # rank 0 last: this may be its own process
            for line in group:
                with suppress(OSError):
                    line.sendall(END + f" {code}\n".encode())
                    line.shutdown(socket.SHUT_WR)
            for line in group:
                with suppress(OSError):  # wait until it has read that, and has ended
                    line.settimeout(GRACE)
                    while line.recv(4096):
                        pass
        self._end(code)


def _read(file: BufferedReader) -> bytes:
    with suppress(OSError):
        return file.readline().strip()
    return b""


class Lifeline:
    """A rank's connection to the hub, from the first moment to the last.

    Args:
        ranks: all of them make their lifelines at the same time.
    """

    def __init__(self, ranks: MPIRanks):
        self._launched, self._rank, self._left = HUB in os.environ, ranks.rank, False
        address = os.environ.get(HUB)
        if not self._launched:
            host = "127.0.0.1" if ranks.on_one_host else ""
            address = ranks.broadcast(lambda: Hub(ranks.size, host, os._exit).address)
        host, port, key = address.split(" ")
        self._line = None
        with suppress(OSError):  # no way through the network: then MPI's launcher alone notices
            self._line = socket.create_connection((host, int(port)), CONNECT_TIMEOUT)
            self._line.settimeout(None)
            hello = key, ranks.rank, os.getpid(), socket.gethostname()
            self._send(json.dumps(hello).encode())
        if not all(ranks.allgather(self._line is not None)):
            self._line = None
            return
        if hasattr(os, "register_at_fork"):  # or what an environment starts would keep it open
            os.register_at_fork(after_in_child=self._line.close)
        threading.Thread(target=self._listen, name="ppo_np-lifeline", daemon=True).start()

    def _send(self, said: bytes) -> None:
        with suppress(OSError):
            self._line.sendall(said + b"\n")

    def _listen(self) -> None:
        said = _read(self._line.makefile("rb"))
        if said.startswith(END):
            os._exit(int(said.split()[1]))
        if self._left:
            return
        speaker = 0 if self._launched else 1
        if self._rank == speaker:
            who = "the process that started the ranks" if self._launched else "rank 0"
            say(f"error: {who} has died, without a word: all ranks end.")
        else:
            time.sleep(GRACE)
        os._exit(1)

    def fail(self, text: str, code: int) -> None:
        """End all ranks, with one message; does not return.

        Args:
            text: what has happened to this rank.
            code: to exit with.
        """
        if self._line is not None:
            self._send(json.dumps((code, text)).encode())
            time.sleep(5 * GRACE)  # the hub says it, and ends everybody
        else:
            say(text)
        os._exit(code)

    def fail_after(self, seconds: float, text: str, code: int) -> None:
        """End all ranks as `fail` does, unless this rank has left within so many seconds."""

        def late() -> None:
            if not self._left:
                self.fail(text, code)

        timer = threading.Timer(seconds, late)
        timer.daemon = True
        timer.start()

    def leave(self) -> None:
        """Say goodbye: from now on this rank may end, and so may the others."""
        self._left = True
        if self._line is not None:
            self._send(BYE)


def say(text: str) -> None:
    """Write a last message, behind everything else that was written."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        print(text, file=sys.stderr, flush=True)
