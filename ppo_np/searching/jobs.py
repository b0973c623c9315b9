"""Training runs, each in a process of its own, a few at a time: started, stopped, and gone on with after a kill."""

import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ppo_np.distributed.ranks import cores_allowed
from ppo_np.errors import check
from ppo_np.logs.filenames import CHECKPOINT, CONFIG, LOCK
from ppo_np.saving.files import lock
from ppo_np.searching.manifest import writing
from ppo_np.searching.result import read_result

STOPPING = b"\nsaving and stopping all runs; a second signal ends them at once\n"
TICK = 0.1  # seconds between two looks at the processes
PROGRAM = [sys.executable, "-m", "ppo_np.searching.child"]
COMMAND = "$ python -m ppo_np.train"  # a line of a log: here a process was started
# For a process that trains on one core. NumPy, SciPy and Numba start a thread per core otherwise.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def check_jobs(jobs: int) -> None:
    """Raise UserError unless a number of jobs is allowed."""
    check(0 <= jobs <= 1024, "jobs", jobs, "an integer from 0 to 1024")


def number_of(jobs: int) -> int:
    """The number of jobs that a flag means: 0 is one for each core that this process may use."""
    return jobs or len(cores_allowed())


@dataclass(frozen=True)
class Job:
    """A training run to do.

    Attributes:
        name: for people; no other job has it.
        folder: the run folder. What the process prints goes to `log` beside it.
        arguments: of `python -m ppo_np.train`, without --run-dir.
        steps: environment steps of the whole run.
        episodes: greedy episodes after training; 0 = none.
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]
    steps: int
    episodes: int

    @property
    def log(self) -> Path:
        """The file with the output of the process."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run has reached, as `result.write_result` wrote it; None if it is not finished."""
        return read_result(self.folder, self.episodes)

    @property
    def begun(self) -> bool:
        """Whether there is something to go on with: checkpoints, or the settings that a killed run has left."""
        return any((self.folder / name).exists() for name in (CHECKPOINT, CONFIG))

    @property
    def in_use(self) -> bool:
        """Whether another process uses the run folder, such as a run that saves itself after its sweep was killed."""
        try:
            with open(self.folder / LOCK) as file:
                return not lock(file, shared=True)
        except OSError:
            return False


@dataclass
class Running:
    """A process that does a job.

    Attributes:
        job: what it does.
        process: does it.
        begun: time.monotonic() of its start.
        stopped: whether it was told to stop.
    """

    job: Job
    process: subprocess.Popen
    begun: float
    stopped: bool = False

    def stop(self) -> None:
        """Tell the process to save and end, once."""
        if not self.stopped:
            self.stopped = True
            self.process.send_signal(signal.SIGTERM)  # does nothing if the process has ended


@dataclass(frozen=True)
class Ended:
    """How the process of a job ended.

    Attributes:
        job: what it did.
        result: None if the run is not finished.
        failure: a sentence about why the run failed; empty if it did not, or if it was told to stop.
        seconds: that the process took.
    """

    job: Job
    result: dict[str, Any] | None
    failure: str
    seconds: float


class Pool:
    """At most `size` processes at a time. At the end of the context, what still runs is stopped and waited for.

    Each process is in a session of its own: Ctrl-C in a terminal reaches only this process, which passes it on once. If
    this process is killed, the others save and end by themselves (`child`).
    """

    def __init__(self, size: int):
        self._size = size
        self.running: list[Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        while self.running:
            self.ended()

    @property
    def has_room(self) -> bool:
        """Whether another job can be started."""
        return len(self.running) < self._size

    def start(self, job: Job) -> None:
        """Start a job, or go on with it where it was stopped. Raises RunError if that is not possible."""
        how = ["--resume", str(job.folder)] if job.begun else [*job.arguments, "--run-dir", str(job.folder)]
        with writing(job.log):  # also if there is no memory for a process
            job.folder.parent.mkdir(parents=True, exist_ok=True)
            with open(job.log, "a") as log:
                print(COMMAND, shlex.join(how), file=log, flush=True)
                process = subprocess.Popen(
                    [*PROGRAM, str(job.folder), str(job.episodes), *how], env=ONE_THREAD | os.environ,
                    stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        self.running.append(Running(job, process, time.monotonic()))

    def stop(self) -> None:
        """Tell all processes to save and end; `ended` reports them."""
        for one in self.running:
            one.stop()

    def ended(self, timeout: float = TICK) -> list[Ended]:
        """The jobs that have ended since the last call, after at most `timeout` seconds if none has."""
        limit = time.monotonic() + timeout
        while not (done := [one for one in self.running if one.process.poll() is not None]):
            left = limit - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(TICK, left))
        self.running = [one for one in self.running if one not in done]
        return [_ended(one) for one in done]


def _ended(one: Running) -> Ended:
    assert one.process.stdin is not None
    one.process.stdin.close()
    code, result = one.process.returncode, one.job.result
    failure = "" if result or one.stopped else f"{_reason(code)}{_last_error(one.job.log)} See {one.job.log}"
    return Ended(one.job, result, failure, time.monotonic() - one.begun)


def _reason(code: int) -> str:
    """How a process has ended, in words."""
    if code == -signal.SIGKILL:
        return "it was killed, perhaps because memory was full."
    number = -code if code < 0 else code - 128
    if number in (signal.SIGINT, signal.SIGTERM):
        return f"it was stopped by {signal.Signals(number).name}."
    return f"ended by signal {-code}." if code < 0 else f"exit code {code}."


def _last_error(log: Path) -> str:
    """The last error in a log since the last command, with a space before it; empty if there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - 10_000, 0))
            output = file.read().decode("utf-8", "replace").rpartition(COMMAND)[2]
    except OSError:
        return ""
    errors = [line.removeprefix("error: ") for line in output.splitlines() if line.startswith("error: ")]
    return f" {errors[-1]}" if errors else ""
