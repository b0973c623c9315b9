"""Kill ranks or the command at the start, or while a rank is stopped or asleep: all must end, with one message.

    python tests/durability/kill/ranks.py                          # 100 kills at the start, 50 in each other state
    python tests/durability/kill/ranks.py --start 20 --stopped 0 --asleep 0 --seed 1

Each trial is a run with `--ranks 2`. At a random instant of its first seconds, or after two updates, one process gets
SIGKILL: a rank, or (one time in five) the command itself. While a rank is stopped or asleep, the command may also get
SIGTERM. Then all processes of the run must have ended within 10 s, with one message on stderr; whatever
/dev/shm holds of the run must be gone, and a checkpoint that is there must be whole. Exit code 1 otherwise.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from compare import damage
from processes import processes_of

from ppo_np.logs.filenames import CHECKPOINT, METRICS

TESTS = Path(__file__).resolve().parents[2]
LIMIT = 10.0  # seconds for all to end
START = 3.0  # seconds, about, until ranks train on two busy cores
PATIENCE = 120.0
STATES = ("start", "stopped", "asleep")
SMALL = "--num-envs 4 --num-steps 16 --num-minibatches 2 --update-epochs 1 --shared-sizes 8 --seed 0 --ranks 2"
FLAGS = [*SMALL.split(), "--total-timesteps", "10000000", "--checkpoint-every", "1"]


def left_memory(since: float) -> set[str]:
    """Files of MPICH that were made since then and that no process has mapped."""
    made = {str(path) for path in Path("/dev/shm").glob("mpich*") if path.stat().st_mtime >= since}
    used = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            used |= set(re.findall(r"/dev/shm/mpich\w+", maps.read_text()))
        except OSError:
            continue
    return made - used


def begin(folder: Path, state: str) -> subprocess.Popen:
    """Start a run; in the state `asleep` its steps take long."""
    env_id = "broken:Asleep-v0" if state == "asleep" else "CartPole-v1"
    command = [sys.executable, "-m", "ppo_np.train", *FLAGS, "--env-id", env_id, "--run-dir", str(folder)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=TESTS, start_new_session=True, **pipes)


def wait_for(process: subprocess.Popen, condition: Callable[[], bool]) -> None:
    """Wait until the condition holds, as long as the process is there."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def strike(process: subprocess.Popen, folder: Path, state: str, rng: random.Random) -> str:
    """Kill one process; returns what was done, or "" if there was nothing to be killed."""
    metrics = folder / METRICS
    if state == "start":
        wait_for(process, lambda: any(rank is not None for rank in processes_of(folder).values()))
        time.sleep(rng.uniform(0, START))
        ranks = {rank: pid for pid, rank in sorted(processes_of(folder).items(), reverse=True) if rank is not None}
        victims = [*ranks.items()] * 2 + [("the command", process.pid)]
        what, number = "SIGKILL", signal.SIGKILL
    else:
        wait_for(process, lambda: metrics.exists() and metrics.read_text().count("\n") > 2)
        time.sleep(rng.uniform(0.1, 0.5))
        ranks = {rank: pid for pid, rank in sorted(processes_of(folder).items(), reverse=True) if rank is not None}
        if state == "stopped":
            os.kill(ranks[rng.randrange(2)], signal.SIGSTOP)
            time.sleep(0.2)
        victims = [*ranks.items()] * 2 + [("the command", process.pid)] * 2
        what, number = "SIGKILL", signal.SIGKILL
    name, pid = rng.choice(victims)
    if name == "the command" and state != "start" and rng.random() < 0.5:
        what, number = "SIGTERM", signal.SIGTERM
    os.kill(pid, number)
    return f"{what} to {name if isinstance(name, str) else 'a rank'}"


def trial(folder: Path, state: str, rng: random.Random) -> tuple[str, list[str], float]:
    """What was done, what is wrong, and the seconds until all had ended."""
    since = time.time()
    process = begin(folder, state)
    done = strike(process, folder, state, rng)
    begun = time.monotonic()
    while processes_of(folder) and time.monotonic() < begun + PATIENCE / 4:
        time.sleep(0.02)
    seconds = time.monotonic() - begun
    problems = [f"{len(processes_of(folder))} processes are left"] if processes_of(folder) else []
    for pid in processes_of(folder):
        os.kill(pid, signal.SIGKILL)
    _, err = process.communicate()
    expected = {"SIGKILL": 1, "SIGTERM": 128 + signal.SIGTERM}[done.split()[0]]
    if done != "SIGKILL to the command" and process.returncode != expected:
        problems.append(f"exit code {process.returncode}")
    launcher = ("[proxy", "[mpiexec", "stopping after")  # it may add to the message that it has lost its processes
    messages = [line for line in err.splitlines() if line and not line.startswith(launcher)]
    early = done == "SIGKILL to the command" and state == "start"  # nobody may be there to say anything
    if len(messages) != 1 and not (early and not messages):
        problems.append(f"{len(messages)} messages: {err[-1000:]}")
    if seconds > LIMIT:
        problems.append(f"it took {seconds:.1f} s")
    if left := left_memory(since):
        problems.append(f"left in memory: {sorted(left)}")
    if (folder / CHECKPOINT).exists() and (wrong := damage(folder)):
        problems.append(wrong)
    return done, problems, seconds


def perform(counts: dict[str, int], seed: int) -> int:
    """Do all trials, tell what is wrong with each, print a table, and return the number of problems."""
    rng, wrong = random.Random(seed), 0
    print("| state | what was done | trials | all well | longest until all had ended |\n|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="kill-ranks-") as folder:
        for state, count in counts.items():
            kinds, well, longest = Counter(), Counter(), Counter()
            for number in range(count):
                done, problems, seconds = trial(Path(folder) / f"{state}{number}", state, rng)
                kinds[done] += 1
                well[done] += not problems
                longest[done] = max(longest[done], seconds)
                wrong += bool(problems)
                if problems:
                    print(f"{state} {number}, {done}: {'; '.join(problems)}", file=sys.stderr, flush=True)
            for done in sorted(kinds):
                print(f"| {state} | {done} | {kinds[done]} | {well[done]} | {longest[done]:.1f} s |", flush=True)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for state, count in zip(STATES, (100, 50, 50), strict=True):
        parser.add_argument(f"--{state}", type=int, default=count, help=f"trials in this state ({count})")
    parser.add_argument("--seed", type=int, default=0, help="of the random instants (0)")
    given = parser.parse_args()
    sys.exit(perform({state: getattr(given, state) for state in STATES}, given.seed) > 0)


if __name__ == "__main__":
    main()
