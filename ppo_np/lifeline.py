"""Connections between the ranks by which the end of one, however it comes, is the end of all, told once.

MPI's launchers end all ranks as well when one dies, but they cannot say which rank that was, and not all of them do.
Each rank keeps a connection to rank 0 open, on which nothing is said in a run that goes well. Where one breaks, a rank
has died: the system closes the connections of a process, even of one that was killed.
"""

import json
import os
import selectors
import socket
import sys
import threading
import time
from contextlib import suppress

from ppo_np.mpi import MPIRanks

KEY_BYTES, RANK_BYTES = 16, 4
CONNECT_TIMEOUT = 10.0  # seconds
GRACE = 1.0  # seconds for rank 0 to fail by itself, in its own words, before it repeats another rank's
BYE, END = b"bye\n", b"end\n"


class Lifeline:
    """Watches over the ranks of a run in a thread, from the first moment to the last.

    Args:
        ranks: all of them make their lifelines at the same time.
    """

    def __init__(self, ranks: MPIRanks):
        self._ranks, self._failing = ranks, threading.Event()
        self._people = ranks.gather(f"rank {ranks.rank} (process {os.getpid()} on {socket.gethostname()})")
        self._lines: list[socket.socket] = []
        try:
            self._connect()
            complete = True
        except OSError:  # no way through the network: then MPI's launcher alone notices
            complete = False
        if all(ranks.gather(complete)):
            os.register_at_fork(after_in_child=self._close)
            threading.Thread(target=self._watch, name="ppo_np-lifeline", daemon=True).start()
        else:
            self._close()

    def _connect(self) -> None:
        rank, size = self._ranks.rank, self._ranks.size
        local = "127.0.0.1" if self._ranks.on_one_host else ""
        server = socket.create_server((local, 0), backlog=size) if rank == 0 else None
        mine = (local or socket.getfqdn(), server.getsockname()[1], os.urandom(KEY_BYTES)) if server else None
        host, port, key = self._ranks.gather(mine)[0]
        if not server:
            line = socket.create_connection((host, port), CONNECT_TIMEOUT)
            self._lines = [line]
            line.settimeout(None)
            line.sendall(key + rank.to_bytes(RANK_BYTES, "big"))
            return
        by_rank = {}
        with server:
            server.settimeout(CONNECT_TIMEOUT)
            while len(by_rank) < size - 1:
                line, _ = server.accept()
                line.settimeout(CONNECT_TIMEOUT)
                hello = line.recv(KEY_BYTES + RANK_BYTES, socket.MSG_WAITALL)
                line.settimeout(None)
                if hello[:KEY_BYTES] == key:
                    by_rank[int.from_bytes(hello[KEY_BYTES:], "big")] = line
        self._lines = [by_rank[other] for other in sorted(by_rank)]

    def _close(self) -> None:
        for line in self._lines:
            line.close()

    def _watch(self) -> None:
        """Wait until the other ends have said goodbye, or until one has not."""
        with selectors.DefaultSelector() as selector:
            for number, line in enumerate(self._lines):
                who = number + 1 if self._ranks.rank == 0 else 0
                selector.register(line, selectors.EVENT_READ, (who, line.makefile("rb")))
            while selector.get_map():
                for key, _ in selector.select():
                    who, file = key.data
                    said = b""
                    with suppress(OSError):
                        said = file.readline()
                    if said != BYE:
                        self._other_ended(who, said)
                    selector.unregister(key.fileobj)

    def _other_ended(self, who: int, said: bytes) -> None:
        """Another rank has failed, with its last words or without any: this one ends as well."""
        if self._ranks.rank != 0:
            if said != END and self._ranks.rank > 1:
                time.sleep(GRACE)  # rank 1 says it
            elif said != END:
                self._say(f"error: {self._people[0]} has died, without a word: all ranks end.")
            os._exit(1)
        if self._failing.wait(GRACE):
            return
        code, text = json.loads(said) if said else (1, None)
        self._end(text or f"error: {self._people[who]} has died, without a word: all ranks end.", code)

    def fail(self, text: str, code: int) -> None:
        """End all ranks, with one message; does not return.

        Args:
            text: what has happened to this rank.
            code: to exit with.
        """
        self._failing.set()
        if self._ranks.rank == 0:
            self._end(text, code)
        with suppress(OSError):
            self._lines[0].sendall(json.dumps([code, text]).encode() + b"\n")
            time.sleep(5 * GRACE)  # rank 0 says it, and ends everybody
            os._exit(code)
        self._say(text)  # there is no rank 0 any more to say it
        os._exit(code)

    def fail_after(self, seconds: float, text: str, code: int) -> None:
        """End all ranks as `fail` does, unless the run has ended by itself within so many seconds."""
        timer = threading.Timer(seconds, self.fail, (text, code))
        timer.daemon = True
        timer.start()

    def _end(self, text: str, code: int) -> None:
        self._say(text)
        for line in self._lines:
            with suppress(OSError):
                line.sendall(END)
        os._exit(code)

    def _say(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            print(text, file=sys.stderr, flush=True)

    def leave(self) -> None:
        """Say goodbye: from now on this rank may end, and so may the others."""
        for line in self._lines:
            with suppress(OSError):
                line.sendall(BYE)
