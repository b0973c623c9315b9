"""Mutation testing of kernels/: change one thing at a time, and see whether the tests notice. Needs no JIT.

    pip install -e ".[test]" "cosmic-ray>=8.7"
    python tests/mutation/run.py                          # everything
    python tests/mutation/run.py --module loss gaussian
    python tests/mutation/run.py --sample 25              # the same 25 mutants each time, as in CI
    NUMBA_DISABLE_JIT=0 python tests/mutation/run.py --module tiles views    # they hold code for LLVM

A mutant of kernels/X.py is killed if tests/kernels/test_X.py fails; nothing else of the suite is run. That file has to
pass unmutated first, or the run ends there. Prints a table, and the survivors that `equivalent.toml` does not have:
exit code 1 if there is one. Each mutant is imported and tested in a fork of this process: Linux or macOS.
"""

import os

os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import argparse
import contextlib
import importlib.machinery
import importlib.util
import itertools
import random
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

import hypothesis
import hypothesis.strategies
import numba
import pytest
import scipy.stats  # noqa: F401 - as hypothesis: so that each fork has it
from mutants import changed_line, mutant, places

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Not __init__.py, a list of names, and not _jit.py: docs/testing.md tells why.
MODULES = sorted(path.stem for path in (ROOT / "kernels").glob("[!_]*.py"))
WITHOUT_JIT = [module for module in MODULES if module not in ("tiles", "views")]
KINDS = "killed", "equivalent", "survived", "error"
SECONDS = 60  # for one run of the tests
ERROR = 70  # exit code of a fork in which this file has failed; not one of pytest's
QUIET = ("-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
EQUIVALENT = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8"))


class Mutant(importlib.machinery.SourceFileLoader):
    """Finds and loads one module, from a text that is not the one of its file."""

    def __init__(self, module, text):
        super().__init__(f"kernels.{module}", str(path_of(module)))
        self._text = text

    def find_spec(self, name, _path=None, _target=None):
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, _name):
        return compile(self._text, self.path, "exec")


class Hasty:
    """pytest plugin: the same tests, but the first failure comes sooner."""

    def pytest_configure(self):
        """Take the project's Hypothesis profile; do not make a failing example smaller before it counts."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        profile = hypothesis.settings(phases=phases, report_multiple_bugs=False)
        hypothesis.settings.register_profile("mutation", parent=profile)
        hypothesis.settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items):
        """Run examples worked out by hand before those drawn by Hypothesis: there are fewer."""
        items.sort(key=lambda item: getattr(item.obj, "is_hypothesis_test", False))


def path_of(module):
    return ROOT / "kernels" / f"{module}.py"


def run_tests(module, source, place=None):
    """The exit code of pytest with the tests of a module, if this place of its text is changed."""
    text = mutant(source, *place) if place else source
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    os.chdir(ROOT)
    sys.meta_path.insert(0, Mutant(module, text))
    signal.alarm(SECONDS)  # then this process is killed, whatever it does
    numba.config.CACHE_DIR += f"/{os.getpid()}"  # of its own: others hold the code of other mutants
    return int(pytest.main([*QUIET, f"tests/kernels/test_{module}.py"], [Hasty()]))


def in_forks(function, arguments, workers):
    """function(*a) for each of `arguments`, an exit code, in forks of this process; negative if a signal ended one."""
    running, codes = {}, {}

    def wait():
        pid, status = os.wait()
        codes[running.pop(pid)] = os.waitstatus_to_exitcode(status)

    for number, of_one in enumerate(arguments):
        if len(running) == workers:
            wait()
        pid = os.fork()
        if pid == 0:
            code = ERROR
            try:
                code = function(*of_one)
            finally:
                os._exit(code)
        running[pid] = number
    while running:
        wait()
    return [codes[number] for number in range(len(codes))]


def try_module(module, source, chosen, workers):
    """What has become of each mutant, and the function and the line that it changes, as far as it was not killed."""
    unmutated, *codes = in_forks(run_tests, [(module, source), *((module, source, place) for place in chosen)], workers)
    if unmutated:
        sys.exit(f"the tests of {module} fail without any mutation")
    verdicts = []
    for place, code in zip(chosen, codes, strict=True):
        if code in (1, 2) or code < 0:  # 2: it cannot even be imported; negative: it does not end, or crashes
            verdicts.append(("killed", None, None))
            continue
        function, line = changed_line(source, mutant(source, *place))
        known = any(part in line for part in EQUIVALENT.get(module, {}).get(function, {}))
        verdicts.append(("error" if code else "equivalent" if known else "survived", function, line))
    return verdicts


def print_row(name, verdicts):
    counts = Counter(kind for kind, _, _ in verdicts)
    print("|", " | ".join(map(str, [name, len(verdicts), *(counts[kind] for kind in KINDS)])), "|", flush=True)


def run(options):
    """Print the table and the survivors. Returns whether there are none."""
    sources = {module: path_of(module).read_text(encoding="utf-8") for module in options.module}
    chosen = [(module, *place) for module, source in sources.items() for place in places(source)]
    if options.sample:
        chosen = sorted(random.Random(options.seed).sample(chosen, min(options.sample, len(chosen))))
    print("| module | mutants | " + " | ".join(KINDS) + " |\n|---" + 5 * "|---:" + "|")
    tried, bad = [], []
    for module, of_module in itertools.groupby(chosen, lambda one: one[0]):
        source = sources[module]
        for part in itertools.chain(*EQUIVALENT.get(module, {}).values()):
            assert part not in source, f"equivalent.toml: {module} itself has {part}"
        verdicts = try_module(module, source, [place for _, *place in of_module], options.workers)
        print_row(f"`{module}.py`", verdicts)
        tried += verdicts
        bad += [(module, *verdict) for verdict in verdicts if verdict[0] in ("survived", "error")]
    print_row("**all**", tried)
    for module, kind, function, line in bad:
        print(f"\n[{module}.{function}]  # {kind}\n'{line}' = ''")
    return not bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--module",
        nargs="+",
        choices=MODULES,
        default=WITHOUT_JIT,
        metavar="NAME",
        help="default: all but tiles and views",
    )
    parser.add_argument("--sample", type=int, metavar="N", help="only N mutants of all modules together")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="mutants at a time (default: 2)")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as numba.config.CACHE_DIR:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            pytest.main([*QUIET, numba.config.CACHE_DIR])  # finds no test, but imports pytest's plugins
        good = run(options)
    print(f"\n{time.monotonic() - started:.0f} s")
    sys.exit(not good)


if __name__ == "__main__":
    main()
