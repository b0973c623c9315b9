"""The process that reads mutants: under limits, and with every door watched. Talks in JSON lines with `run.py`.

    python worker.py FOLDER SECONDS [PLANT]

FOLDER has the original files. A request is {"path", "original", "deep", "raw"}; the answer has "verdict": "refused",
"equal" or "other" if that is how it should be, else "failed" and "why".
"""

import gc
import hashlib
import json
import math
import resource
import sys
import traceback
import tracemalloc
import warnings
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import plants

from ppo_np.errors import EnvironmentFault, UserError
from ppo_np.saving import crash_file
from ppo_np.saving.checkpoint import Checkpoint, read_checkpoint

# Python needs up to 24 times as much memory as the JSON that it reads: for "{},{},{}".
LARGEST_MULTIPLE, SMALLEST_LIMIT = 32, 2**20
ADDRESS_SPACE = 2**28  # beyond what the process has when it begins to read
LONGEST_SENTENCE = 2000
# What is read is used by compiled kernels, which Numba may have to load from its own cache or to compile.
OUTER_DOORS = (
    "ctypes.dlopen", "os.system", "os.exec", "os.fork", "os.spawn", "os.posix_spawn", "subprocess.Popen",
    "socket.connect", "socket.bind",
)  # fmt: skip
DOORS = (*OUTER_DOORS, "exec", "compile", "import", "pickle.find_class", "os.remove", "os.rename", "os.mkdir")


class Opened(BaseException):
    """Something that reading has no business with; no handler of ours for exceptions catches it."""


class Watch:
    """Notes, and forbids, what would execute or load anything.

    Attributes:
        closed: the doors that are watched just now; if those are all, opening files for writing as well.
        opened: what went through them.
    """

    def __init__(self):
        self.closed, self.opened = (), []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        writes = event == "open" and self.closed is DOORS and arguments[1] and set(arguments[1]) & set("wax+")
        if event in self.closed or writes:
            self.opened.append(f"{event} {arguments!r:.100}")
            raise Opened(self.opened[-1])


def fingerprint(value: object) -> str:
    """The same for two results of reading if they are the same, bit for bit; where they were read from aside."""
    if is_dataclass(value) and not isinstance(value, type):
        return fingerprint({f.name: getattr(value, f.name) for f in fields(value) if f.name != "path"})
    if isinstance(value, dict):
        return hashlib.sha256(repr([(k, fingerprint(v)) for k, v in value.items()]).encode()).hexdigest()
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    return repr(value)


def read(path: str, kind: str):
    return read_checkpoint(path) if kind == "checkpoint" else crash_file.read_crash(path)


def go_deep(path: str, result: object) -> None:
    """Use what was read: bring the run back, or compute the rows again."""
    if isinstance(result, Checkpoint):
        if result.config.vectorization == "sync":
            from ppo_np import PPO, load_policy

            PPO.load(path).close()
            load_policy(path)
    else:
        from ppo_np.checking.crash_replay import recompute

        recompute(result)


def sentence_of(error: Exception) -> str | None:
    """What is wrong with the message; None if it is one sentence that a terminal can show."""
    text = str(error)
    if not text or len(text) > LONGEST_SENTENCE or not text.isprintable():
        return f"its message, of {len(text)} characters, is none for a terminal: {text[:60]!r}...{text[-100:]!r}"
    return None


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        most = pages * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def limit_seconds(seconds: float) -> None:
    """Of the processor's time, from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def judge(request: dict, expected: dict, watch: Watch) -> dict:
    """Read one mutant, and use what was read if that is asked for."""
    watch.opened.clear()
    verdict, why = attempt(request, expected, watch)
    if watch.opened:
        why = f"it opens a door: {watch.opened[0]}"
    return {"verdict": "failed" if why else verdict, "why": why}


def attempt(request: dict, expected: dict, watch: Watch) -> tuple[str, str | None]:
    """The verdict, and what is wrong if something is."""
    kind, whole = expected[request["original"]]
    try:
        watch.closed = DOORS
        result, most = read_measured(request["path"], kind)
        if isinstance(result, Exception):
            return "refused", too_much(most, request["path"]) or sentence_of(result)
        verdict = "equal" if fingerprint(result) == whole else "other"
        if request["raw"] and verdict == "other":
            return verdict, "it loads as something else"
        if request["deep"]:
            watch.closed = OUTER_DOORS
            go_deep(request["path"], result)
        return verdict, too_much(most, request["path"])
    except (UserError, EnvironmentFault) as error:
        return "refused", sentence_of(error)
    except BaseException as error:
        return "failed", f"{traceback.format_exception_only(error)[-1].strip()[:200]} ({where(error)})"
    finally:
        watch.closed = ()


def read_measured(path: str, kind: str) -> tuple[object, int]:
    """What reading gives, the exception if it is refused, and the largest number of bytes in use meanwhile."""
    least = math.inf
    for _ in range(2):  # the first time, something else may have been at work as well
        gc.collect(0)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            result = read(path, kind)
        except UserError as error:
            result = error
        least = min(least, tracemalloc.get_traced_memory()[1] - before)
        if not too_much(least, path):
            break
    return result, least


def too_much(most: int, path: str) -> str | None:
    """What is wrong with this number of bytes; None if it is not too large for such a file."""
    size = Path(path).stat().st_size
    if most > max(SMALLEST_LIMIT, LARGEST_MULTIPLE * size):
        return f"it takes {most:,} bytes of memory for a file of {size:,}"
    return None


def where(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def main(folder: Path, seconds: float, deep: bool, plant: str) -> None:
    warnings.simplefilter("ignore")
    expected = {}
    for path in sorted(folder.glob("*.h5")):
        kind = "checkpoint" if read_kind(path) else "crash file"
        result = read(path, kind)
        expected[path.stem] = kind, fingerprint(result)
        if deep:
            go_deep(path, result)  # what is imported and compiled the first time is no door
    watch = Watch()
    plants.plant(plant)
    tracemalloc.start()
    limit_memory()
    print(json.dumps({"ready": sorted(expected)}), flush=True)
    for line in sys.stdin:
        limit_seconds(seconds)
        print(json.dumps(judge(json.loads(line), expected, watch)), flush=True)


def read_kind(path: Path) -> bool:
    """Whether an original is a checkpoint."""
    try:
        return bool(read_checkpoint(path))
    except UserError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "deep", sys.argv[4] if len(sys.argv) > 4 else "")
