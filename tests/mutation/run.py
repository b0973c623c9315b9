"""Mutation testing of kernels/: change one thing at a time, and see whether the tests notice. Needs no JIT.

    pip install -e ".[test]" "cosmic-ray>=8.7"
    python tests/mutation/run.py                          # everything
    python tests/mutation/run.py --module loss gaussian
    python tests/mutation/run.py --sample 50              # the same 50 mutants each time: for CI

cosmic-ray makes the mutants, in copies of the tree, one copy a module, with the operators of `cosmic-ray.toml`. A
mutant of kernels/X.py is killed if tests/kernels/test_X.py fails; nothing else of the suite is run. That file has to
pass unmutated first, or the run ends there. Exit code 1 if the score is below `REQUIRED`. Needs `os.fork`: Linux or
macOS.
"""

import argparse
import itertools
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cosmic_ray.config import serialize_config
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Not __init__.py, a list of names, and not _jit.py: docs/testing.md tells why.
MODULES = sorted(path.stem for path in (ROOT / "kernels").glob("[!_]*.py"))
SECONDS = 30  # for one run of the tests; the slowest takes 3
REQUIRED = 0.95
ENVIRONMENT = os.environ | {
    "NUMBA_DISABLE_JIT": "1",
    "PYTHONDONTWRITEBYTECODE": "1",  # two mutants of one second and one size would share their bytecode
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def call(*command, cwd):
    """Run a command; fail with its output if it fails."""
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")


def cosmic_ray(*arguments, tree):
    call(sys.executable, "-m", "cosmic_ray.cli", *arguments, cwd=tree)


def test_command(module, socket):
    """Run the tests of a module in the warm process; -I and -S: the asking itself needs no library."""
    ask = [sys.executable, "-I", "-S", str(HERE / "warm_pytest.py"), "ask", str(socket), str(SECONDS)]
    return [*ask, "-x", "--tb=no", f"tests/kernels/test_{module}.py"]


def prepare(module, folder, socket):
    """Copy the tree for one module, and write the session with all its mutants. Returns the copy."""
    tree = folder / module
    for name in ("bench", "kernels", "ppo_np", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    config = tomllib.loads((HERE / "cosmic-ray.toml").read_text(encoding="utf-8"))["cosmic-ray"]
    config |= {"module-path": f"kernels/{module}.py", "test-command": shlex.join(test_command(module, socket))}
    (tree / "config.toml").write_text(serialize_config(config), encoding="utf-8")
    cosmic_ray("init", "config.toml", "session.sqlite", tree=tree)
    filters = "cosmic_ray.tools.filters.operators_filter"
    call(sys.executable, "-m", filters, "session.sqlite", "config.toml", cwd=tree)
    return tree


def keep_sample(trees, size, seed):
    """Mark all but `size` of the pending mutants as skipped; the choice depends on nothing but the seed."""
    pending = []
    for module, tree in trees.items():
        with use_db(tree / "session.sqlite") as session:
            for item in session.pending_work_items:
                (mutation,) = item.mutations
                pending.append((module, mutation.operator_name, mutation.occurrence, item.job_id))
    pending.sort(key=lambda mutant: mutant[:3])
    chosen = random.Random(seed).sample(pending, min(size, len(pending)))
    for module, _, _, job in set(pending) - set(chosen):
        with use_db(trees[module] / "session.sqlite") as session:
            session.set_result(job, WorkResult(WorkerOutcome.SKIPPED))


def execute(module, tree, socket):
    """Run the tests on the unmutated copy, then on each mutant. Returns the results, those skipped left out."""
    call(*test_command(module, socket), cwd=tree)
    cosmic_ray("exec", "config.toml", "session.sqlite", tree=tree)
    with use_db(tree / "session.sqlite") as session:
        results = [result for _, result in session.completed_work_items]
    return [result for result in results if result.worker_outcome != WorkerOutcome.SKIPPED]


def verdict(result):
    """What became of a mutant; anything but a pass, a failure or a timeout of pytest is an error of this script."""
    if result.worker_outcome != WorkerOutcome.NORMAL:
        return "error"
    last = (result.output or "").strip().rpartition("\n")[2]
    # 2: the mutant cannot even be imported.
    verdicts = {"exit 0": "survived", "exit 1": "killed", "exit 2": "killed", "exit 124": "timeout"}
    found = verdicts.get(last, "error")
    assert (found == "survived") == (result.test_outcome == TestOutcome.SURVIVED)
    return found


def row(name, counts):
    total = counts.total()
    score = (counts["killed"] + counts["timeout"]) / total if total else 1.0
    numbers = [total, *(counts[key] for key in ("killed", "survived", "timeout", "error")), f"{100 * score:.1f} %"]
    print("|", " | ".join([f"{name:12}", *(f"{number:>8}" for number in numbers)]), "|", flush=True)
    return score


def run(modules, sample, seed, workers, folder):
    """Print the table and the survivors. Returns whether the score is good enough and nothing went wrong."""
    socket = folder / "warm" / "socket"
    socket.parent.mkdir()
    serve = [sys.executable, str(HERE / "warm_pytest.py"), "serve", str(socket)]
    server = subprocess.Popen(serve, env=ENVIRONMENT, cwd=socket.parent, stdout=subprocess.DEVNULL)
    try:
        trees = {module: prepare(module, folder, socket) for module in modules}
        if sample:
            keep_sample(trees, sample, seed)
        while not socket.exists() and server.poll() is None:
            time.sleep(0.1)
        total, survivors = Counter(), []
        print("|", " | ".join(["module", "mutants", "killed", "survived", "timeout", "error", "score"]), "|")
        print("|---" + 6 * "|---:" + "|")
        with ThreadPoolExecutor(workers) as pool:
            jobs = {module: pool.submit(execute, module, tree, socket) for module, tree in trees.items()}
            for module, job in jobs.items():
                counts = Counter(verdict(result) for result in job.result())
                row(module, counts)
                total += counts
                survivors += sorted(r.diff for r in job.result() if verdict(r) in ("survived", "error"))
        score = row("all", total)
    finally:
        server.terminate()
        server.wait()
    for number, diff in zip(itertools.count(1), survivors):
        print(f"\n{number}.", *diff.splitlines()[1:], sep="\n")
    return score >= REQUIRED and not total["error"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", nargs="+", choices=MODULES, default=MODULES, metavar="NAME", help="default: all")
    parser.add_argument("--sample", type=int, metavar="N", help="only N mutants of all modules together")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    parser.add_argument("--workers", type=int, default=1, help="modules at a time (default: 1)")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        good = run(arguments.module, arguments.sample, arguments.seed, arguments.workers, Path(folder).resolve())
    print(f"\n{time.monotonic() - started:.0f} s")
    sys.exit(not good)


if __name__ == "__main__":
    main()
