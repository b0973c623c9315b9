"""`--ranks N`: start the program again under MPI's launcher and wait until it ends."""

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, TextIO

from ppo_np.distributed.hub import Hub
from ppo_np.distributed.lifeline import HUB, LAUNCHER, PATIENCE, too_late
from ppo_np.distributed.mpi import EXTRA, STARTED, check_shared_memory, remove_unused_shared_memory
from ppo_np.errors import UserError
from ppo_np.running.output import TERMINAL
from ppo_np.running.signals import StopSignals

SHOW_CURSOR = "\033[?25h"
END_TIMEOUT = 5.0  # seconds for the ranks to end when one of them has failed


def launch(ranks: int, module: str, arguments: Sequence[str], signals: StopSignals) -> int:
    """Run `python -m module arguments` on this machine with `ranks` processes and return the exit code.

    Active signals are passed on to the ranks. Raises UserError if mpiexec or mpi4py is not installed, or if
    there is too little shared memory.
    """
    mpiexec = find_mpiexec()
    missing = "mpi4py" if importlib.util.find_spec("mpi4py") is None else "mpiexec"
    if missing == "mpi4py" or mpiexec is None:
        raise UserError(f"ranks is {ranks}, but {missing} is not installed: pip install 'ppo_np[{EXTRA}]'.")
    flags = _flags(mpiexec, ranks)
    failures: list[int] = []
    begun = time.time()
    terminal = sys.stdout.isatty()

    def failed(code: int) -> None:
        if terminal:
            print(SHOW_CURSOR, end="", flush=True)  # a progress bar hides it
        failures.append(code)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0 if hub.stuck else END_TIMEOUT)
        process.kill()  # the launcher, and so also ranks that are stopped

    hub = Hub(ranks, False, failed)
    # Traces of another launcher would mislead the ranks.
    outside = {name: value for name, value in os.environ.items() if name not in (*STARTED, "PMIX_NAMESPACE")}
    # The launcher's pipes hide from the ranks that the output is a terminal, and its width.
    shown = {TERMINAL: "1", "FORCE_COLOR": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
    # The shell's process number becomes mpiexec's: the ranks need it if this process is killed.
    shell = ["/bin/sh", "-c", f'export {LAUNCHER}=$$; exec "$@"', "sh"]
    process = subprocess.Popen(
        [*shell, mpiexec, *flags, "-n", str(ranks), sys.executable, "-m", module, *arguments],
        env=outside | {HUB: hub.address} | (shown if terminal else {}),
        start_new_session=True,  # Ctrl-C in a terminal reaches only this process, which passes it on once
        stdout=subprocess.PIPE,
    )
    copying = _copy(process.stdout, sys.stdout)

    def pass_on() -> None:
        """Send the signal to rank 0, which tells the others. A second signal ends this process, and so all ranks."""
        if not hub.pid_of_rank_0:
            hub.fail(signals.exit_code, "")
            return
        with suppress(ProcessLookupError):
            os.kill(hub.pid_of_rank_0, signals.number)
        # Rank 0 keeps the time as well, but it may be stopped.
        late = threading.Timer(PATIENCE, hub.fail, (signals.exit_code, f"error: {too_late(signals.number)}"))
        late.daemon = True
        late.start()

    signals.message = b""
    signals.on_stop = pass_on
    if signals.number:
        pass_on()
    code = process.wait()
    hub.fail(1, f"error: not all ranks have started: {mpiexec} ended with exit code {code}.")
    hub.wait()
    if failures:
        remove_unused_shared_memory(begun)
        return failures[0]
    copying.join(END_TIMEOUT)  # a process that an environment has started may keep the pipe open
    return signals.exit_code or (code if code >= 0 else 128 - code)


def _copy(pipe: IO[bytes] | None, stream: TextIO) -> threading.Thread:
    """Start to copy what the ranks print: mpiexec itself would end them if it could not write it.

    Not so their stderr: if this process is killed, they say so there.
    """
    assert pipe is not None

    def copy() -> None:
        with pipe:
            while data := os.read(pipe.fileno(), 65536):
                stream.buffer.write(data)
                stream.buffer.flush()

    thread = threading.Thread(target=copy, name="ppo_np-copy", daemon=True)
    thread.start()
    return thread


def find_mpiexec() -> str | None:
    """The mpiexec next to this Python (installed by the extra), else the one on the search path, else None."""
    beside = os.path.join(sys.prefix, "bin", "mpiexec")
    return beside if os.access(beside, os.X_OK) else shutil.which("mpiexec")


def _flags(mpiexec: str, ranks: int) -> list[str]:
    """Stop MPICH's launcher from ending the other ranks before the hub knows which rank has died."""
    version = subprocess.run([mpiexec, "--version"], capture_output=True, text=True, check=False).stdout
    if "HYDRA" not in version:
        return []
    check_shared_memory(ranks)
    return ["-disable-auto-cleanup"]
