"""Starting a program again under MPI's launcher, and staying with it until it ends: `--ranks N`."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from ppo_np.distributed.lifeline import HUB, Hub
from ppo_np.distributed.mpi import EXTRA
from ppo_np.errors import UserError
from ppo_np.running.signals import StopSignals

SHOW_CURSOR = "\033[?25h"
END_TIMEOUT = 5.0  # seconds for the ranks to end when one of them has failed


def launch(ranks: int, module: str, arguments: Sequence[str], signals: StopSignals) -> int:
    """Run `python -m module arguments` on so many ranks of this machine.

    Args:
        ranks: how many.
        module, arguments: of the program.
        signals: active; they are passed on to the ranks.

    Returns:
        The exit code.

    Raises:
        UserError: The extra `mpi` is not installed, and no other mpiexec and mpi4py are.
    """
    mpiexec = find_mpiexec()
    if importlib.util.find_spec("mpi4py") is None or mpiexec is None:
        missing = "mpiexec" if importlib.util.find_spec("mpi4py") else "mpi4py"
        raise UserError(f"ranks is {ranks}, but {missing} is not installed: pip install 'ppo_np[{EXTRA}]'.")
    failures: list[int] = []

    def failed(code: int) -> None:
        if sys.stdout.isatty():
            print(SHOW_CURSOR, end="", flush=True)  # a progress bar had hidden it
        failures.append(code)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_TIMEOUT)
        process.kill()

    hub = Hub(ranks, "127.0.0.1", failed)
    process = subprocess.Popen(
        [mpiexec, *_flags(mpiexec), "-n", str(ranks), sys.executable, "-m", module, *arguments],
        env=os.environ | {HUB: hub.address} | _terminal(),
        start_new_session=True,  # a terminal's Ctrl-C arrives here, and goes on from here once
    )

    def pass_on() -> None:
        """Tell rank 0, which tells the others; a second signal ends this process, the hub with it, and so all ranks."""
        if hub.pid_of_rank_0:
            with suppress(ProcessLookupError):
                os.kill(hub.pid_of_rank_0, signals.number)
        else:
            process.kill()

    signals.message, signals.on_stop = b"", pass_on
    if signals.number:
        pass_on()
    code = process.wait()
    if failures:
        return failures[0]
    return signals.exit_code or (code if code >= 0 else 128 - code)


def find_mpiexec() -> str | None:
    """The mpiexec beside this Python, which the extra brings, else the one on the search path."""
    beside = os.path.join(sys.prefix, "bin", "mpiexec")
    return beside if os.access(beside, os.X_OK) else shutil.which("mpiexec")


def _terminal() -> dict[str, str]:
    """What tells Rich, behind the launcher's pipes, that there is a terminal at their end, and how wide it is."""
    if not sys.stdout.isatty():
        return {}
    return {"FORCE_COLOR": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}


def _flags(mpiexec: str) -> list[str]:
    """What keeps MPICH's launcher from ending the other ranks before it is known which one has died."""
    version = subprocess.run([mpiexec, "--version"], capture_output=True, text=True, check=False).stdout
    return ["-disable-auto-cleanup"] if "HYDRA" in version else []
