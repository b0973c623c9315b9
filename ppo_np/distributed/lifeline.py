"""Connections between the ranks: if one rank fails or dies, all ranks end, and the reason is printed once.

Each rank keeps a connection to a hub. A broken connection means that a rank has died, because the system closes the
connections of a process even if it was killed. MPI's launchers also end all ranks when one dies, but they cannot say
which rank it was, and not all of them do. The hub is a thread in the process that started MPI's launcher
(`ppo_np.running.launch`), which outlives all ranks; or in rank 0, if something else started the launcher.
"""

import json
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from io import BufferedReader
from typing import NoReturn

from ppo_np.distributed.hub import BYE, END, GRACE, Hub, say
from ppo_np.distributed.mpi import MPIRanks, launched_rank, unlink_shared_memory

HUB = "PPO_NP_HUB"  # environment variable: the address of the hub in the launching process
LAUNCHER = "PPO_NP_LAUNCHER"  # environment variable: the process number of MPI's launcher, which leads its group
CONNECT_TIMEOUT = 10.0  # seconds
TURN = 2.0  # seconds between the ranks that could report that the launching process has died and end all
PATIENCE = 8.0  # seconds in which all ranks must stop together after a signal


class Lifeline:
    """A rank's connection to the hub, during the whole run; made by `to_launcher` or `among`.

    Args:
        rank: number of this process.
        address: of the hub.
        launched: whether the hub is in the process that started MPI's launcher; otherwise it is in rank 0.

    Raises OSError if the hub cannot be reached.
    """

    def __init__(self, rank: int, address: str, launched: bool):
        self._rank, self._launched = rank, launched
        self._left = False
        self._all_are_here = threading.Event()
        host, port, key, self._answer = address.split(" ")
        self._connection = socket.create_connection((host, int(port)), CONNECT_TIMEOUT)
        self._connection.settimeout(None)
        self._connection.sendall(f"{key} {rank} {os.getpid()} {socket.gethostname()}\n".encode())
        if hasattr(os, "register_at_fork"):  # for processes that an environment starts
            os.register_at_fork(after_in_child=self._forget)
        threading.Thread(target=self._listen, name="ppo_np-lifeline", daemon=True).start()

    @classmethod
    def to_launcher(cls) -> "Lifeline | None":
        """Connect to the process that started MPI's launcher and wait until all ranks have; None if it is not ours.

        This comes before MPI is initialised: there, a rank waits for one that has died, and nothing can end it.
        """
        rank, address = launched_rank(), os.environ.pop(HUB, None)
        if rank is None or address is None:
            return None
        try:
            lifeline = cls(rank, address, True)
        except OSError:
            _end_without_launcher(rank)
        lifeline._all_are_here.wait()
        return lifeline

    @classmethod
    def among(cls, ranks: MPIRanks) -> "Lifeline":
        """Connect all ranks, which must call this together, to rank 0. Does not return if one cannot reach it."""
        address = ranks.broadcast(lambda: Hub(ranks.size, not ranks.on_one_host, os._exit, inside=True).address)
        lifeline, failure = None, ""
        try:
            lifeline = cls(ranks.rank, address, False)
        except OSError as error:
            failure = f"error: rank {ranks.rank} on {socket.gethostname()} cannot reach rank 0: {error}: all ranks end."
        failures = list(filter(None, ranks.allgather(failure)))
        if lifeline is None or failures:
            if ranks.rank == 0:
                say(failures[0])
            ranks.allgather(None)  # the launcher may end rank 0 as soon as another rank ends,
            time.sleep(GRACE if ranks.rank else 0)  # and the hub would report that
            os._exit(1)
        return lifeline

    def _forget(self) -> None:
        """In a forked process: it would keep the connection open, and its signals are not this rank's."""
        self._connection.close()
        with suppress(ValueError):
            signal.set_wakeup_fd(-1)

    def _send(self, message: bytes) -> None:
        with suppress(OSError):
            self._connection.sendall(message + b"\n")

    def _listen(self) -> None:
        """End this process when the hub says so or when the hub has died."""
        file = self._connection.makefile("rb")
        message = _read(file)
        if message == self._answer.encode():
            self._all_are_here.set()
            message = _read(file)
        if message.startswith(END):
            unlink_shared_memory()
            os._exit(int(message.split()[1]))
        if self._left:
            return
        if self._launched:
            _end_without_launcher(self._rank)
        if self._rank == 1:
            say("error: rank 0 has died without an error message: all ranks end.")
        else:
            time.sleep(GRACE)
        unlink_shared_memory()
        os._exit(1)

    def fail(self, text: str, code: int) -> NoReturn:
        """End all ranks with this exit code, after `text` was printed once; does not return."""
        self._send(json.dumps((code, text)).encode())
        time.sleep(5 * GRACE)  # in this time the hub prints the message and ends all ranks
        os._exit(code)

    def fail_after_signal(self) -> None:
        """After SIGINT or SIGTERM, end all ranks as `fail` does, unless this rank leaves within `PATIENCE`.

        A signal is noticed also while the main thread waits inside MPI, where Python does not call its handler.
        """
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)  # gets the numbers of all signals that have a handler

        def watch() -> None:
            while (number := os.read(read, 1)[0]) not in (signal.SIGINT, signal.SIGTERM):
                pass
            time.sleep(PATIENCE)
            if not self._left:
                self.fail(f"error: rank {self._rank}: {too_late(number)}", 128 + number)

        threading.Thread(target=watch, name="ppo_np-signals", daemon=True).start()

    def leave(self) -> None:
        """Tell the hub that this rank ends normally: from now on, its end is not a failure."""
        self._left = True
        self._send(BYE)


def too_late(number: int) -> str:
    """The message when the ranks have not stopped within `PATIENCE` after a signal."""
    return f"signal {number} came, and the ranks could not stop together within {PATIENCE:g} s."


def _read(file: BufferedReader) -> bytes:
    with suppress(OSError):
        return file.readline().strip()
    return b""


def _end_without_launcher(rank: int) -> NoReturn:
    """End all ranks because the process that started them has died; the first rank that can do so does it."""
    time.sleep(rank * TURN)
    say("error: the process that started the ranks has died without an error message: all ranks end.")
    time.sleep(TURN / 2)  # MPI's launcher passes the message on
    unlink_shared_memory()
    with suppress(ProcessLookupError, PermissionError):  # its proxy then kills all ranks, also those that are stopped;
        os.killpg(int(os.environ[LAUNCHER]), signal.SIGKILL)  # it may not notice that only this one has died
    os._exit(1)
