"""One trial: a run that is killed, perhaps more than once, gone on with each time, and compared in the end."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compare import damage, differences

from ppo_np.logs.filenames import CHECKPOINT, METRICS
from ppo_np.running.signals import STOPPING

HERE = Path(__file__).resolve().parent
SECONDS = 120  # for whatever is waited for
HUNG = 124
ATTEMPTS = 5
EARLIER = 4  # updates, with each attempt
NUM_ENVS, NUM_STEPS = 2, 16


@dataclass(frozen=True)
class Setting:
    """What is trained: an environment, how it is stepped, for how many updates."""

    env_id: str
    vectorization: str = "sync"
    updates: int = 40
    checkpoint_every: int = 2
    eval_every: int = 5

    @property
    def name(self) -> str:
        """As a name of a folder."""
        return f"{self.env_id}-{self.vectorization}"

    def flags(self) -> list[str]:
        """For ppo_np.train."""
        return (
            f"--preset article --env-id {self.env_id} --vectorization {self.vectorization} --num-envs {NUM_ENVS} "
            f"--num-steps {NUM_STEPS} --total-timesteps {self.updates * NUM_ENVS * NUM_STEPS} --num-minibatches 2 "
            f"--update-epochs 2 --learning-rate 0.003 --shared-sizes 16 --norm-obs --norm-reward "
            f"--checkpoint-every {self.checkpoint_every} --eval-every {self.eval_every} --eval-episodes 1"
        ).split()


@dataclass(frozen=True)
class Kill:
    """How a process is ended: by itself at a `Point`, or by signals at an instant.

    Attributes:
        point: as text; the rest does not matter then.
        update: the number of rows in metrics.csv that is waited for; None: none, a process that has just been started.
        delay: seconds from then to the first signal.
        signals: (number, seconds until the next one).
    """

    point: str = ""
    update: int | None = None
    delay: float = 0.0
    signals: tuple[tuple[int, float], ...] = ((signal.SIGKILL, 0.0),)

    def codes(self) -> set[int]:
        """The exit codes that the process may have: killed, or 128 + the signal that it has obeyed."""
        numbers = [number for number, _ in self.signals]
        return {-signal.SIGKILL if number == signal.SIGKILL else 128 + number for number in numbers}

    def __str__(self) -> str:
        if self.point:
            return f"SIGKILL at {self.point}"
        names = ", ".join(f"{signal.Signals(number).name} and {pause:.3f} s" for number, pause in self.signals)
        return f"{'start' if self.update is None else f'update {self.update}'} and {self.delay:.3f} s, {names}"


@dataclass(frozen=True)
class Scenario:
    """Kills of one run, each of the process that the last one has left to go on with; with a bug, if one is planted."""

    kind: str
    setting: Setting
    kills: Sequence[Kill]
    plant: str = ""


@dataclass
class Outcome:
    """What became of a scenario: kills, kills after which the checkpoint was whole, and everything that is wrong."""

    scenario: Scenario
    kills: int
    loaded: int
    problems: list[str]
    seconds: float


def start(folder: Path, arguments: Sequence[str], *, kill: str = "", trace: Path | None = None, plant: str = ""):
    """Start training as a process of its own."""
    harness = {"--kill": kill, "--trace": trace, "--plant": plant}
    given = [str(part) for flag, value in harness.items() if value for part in (flag, value)]
    command = [sys.executable, str(HERE / "at_system_call.py"), *given, "--", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder.parent, start_new_session=True
    )


def end(process: subprocess.Popen) -> tuple[int, str]:
    """Wait until a process and its workers have ended. Returns its exit code and what it has said on stderr."""
    try:
        _, said = process.communicate(timeout=SECONDS)  # as long as a worker is there, the pipe stays open
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return HUNG, f"it, or a worker of its, had not ended after {SECONDS} s"
    return process.returncode, said.decode().replace(STOPPING.decode(), "")


def train(setting: Setting, folder: Path, trace: Path | None = None) -> None:
    """Do the whole run without a kill.

    Raises:
        AssertionError: It failed.
    """
    code, said = end(start(folder, [*setting.flags(), "--run-dir", str(folder)], trace=trace))
    assert (code, said) == (0, ""), f"the uninterrupted run ended with exit code {code}: {said}"


def run(scenario: Scenario, folder: Path, reference: Path) -> Outcome:
    """Do a scenario in a new folder, and once more if a run was over before it could be killed."""
    begun = time.monotonic()
    for attempt in range(ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        kills, loaded, problems = _attempt(scenario, folder, reference, attempt)
        if kills or scenario.kills[0].point:
            return Outcome(scenario, kills, loaded, problems, time.monotonic() - begun)
    return Outcome(scenario, 0, 0, ["it was over before it could be killed"], time.monotonic() - begun)


def _attempt(scenario: Scenario, folder: Path, reference: Path, attempt: int) -> tuple[int, int, list[str]]:
    """Kills, kills after which the checkpoint was whole, problems; no kills if the first one came too late."""
    arguments = [*scenario.setting.flags(), "--run-dir", str(folder)]
    done = 0
    for kill in scenario.kills:
        process = start(folder, arguments, kill=kill.point, plant=scenario.plant)
        strike(kill, process, folder, earlier=attempt * EARLIER)
        code, said = end(process)
        arguments = ["--resume", str(folder)]
        if code == 0 and kill.point:
            return done, done, [f"it was never at {kill.point}"]
        if code == 0 and not done:
            return 0, 0, []
        if code == 0:
            break
        if said or code not in kill.codes():
            return done + 1, done, [f"killed, it ended with exit code {code}: {said}"]
        if wrong := damage(folder):
            return done + 1, done, [wrong]
        done += 1
    code, said = end(start(folder, ["--resume", str(folder)], plant=scenario.plant))
    if code or said:
        return done, done, [f"resumed, it ended with exit code {code}: {said}"]
    return done, done, differences(reference, folder)


def strike(kill: Kill, process: subprocess.Popen, folder: Path, earlier: int = 0) -> None:
    """Send the signals of a kill when it is time; `earlier` by so many updates."""
    if kill.point:
        return
    if kill.update is not None:
        least, metrics = max(kill.update - earlier, 0), folder / METRICS
        old = metrics.stat().st_ino if metrics.exists() else None  # a process that goes on makes it anew
        _wait(lambda: (folder / CHECKPOINT).exists() and _updates(metrics, old) >= least, process)
    time.sleep(kill.delay)
    for number, pause in kill.signals:
        if process.poll() is None:
            process.send_signal(number)
        time.sleep(pause)


def _updates(path: Path, old: int | None) -> int:
    """Rows in metrics.csv; -1 if it is not there, or still the old one, which is known by its inode."""
    return path.read_bytes().count(b"\n") - 1 if path.exists() and path.stat().st_ino != old else -1


def _wait(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
