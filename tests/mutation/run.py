"""Mutation testing of kernels/: change one thing at a time, and see whether the tests notice. Needs no JIT.

    pip install -e ".[test]" "cosmic-ray>=8.7"
    python tests/mutation/run.py                          # everything
    python tests/mutation/run.py --module loss gaussian
    python tests/mutation/run.py --sample 50              # the same 50 mutants each time: for CI
    NUMBA_DISABLE_JIT=0 python tests/mutation/run.py --module tiles views    # these only exist with the JIT

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
import multiprocessing
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


def run_tests(module, text):
    """The exit code of pytest with the tests of a module, if it had this text."""
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    os.chdir(ROOT)
    sys.meta_path.insert(0, Mutant(module, text))
    signal.signal(signal.SIGALRM, signal.default_int_handler)  # ends pytest with exit code 2
    signal.alarm(SECONDS)
    with tempfile.TemporaryDirectory() as numba.config.CACHE_DIR:  # ours has the code of the files as they are
        return int(pytest.main([*QUIET, f"tests/kernels/test_{module}.py"], [Hasty()]))


def try_mutant(module, source, operator, number):
    """The module, the function and the line that the mutant changes, and what has become of it."""
    text = mutant(source, operator, number)
    function, line = changed_line(source, text)
    code = run_tests(module, text)
    if code in (1, 2):  # 2: it cannot even be imported, or does not end
        return module, function, line, "killed"
    known = any(part in line for part in EQUIVALENT.get(module, {}).get(function, {}))
    return module, function, line, "error" if code else "equivalent" if known else "survived"


def print_row(name, verdicts):
    counts = Counter(verdicts)
    print("|", " | ".join(map(str, [name, counts.total(), *(counts[kind] for kind in KINDS)])), "|", flush=True)


def try_all(chosen, sources, workers):
    """Try each (module, operator, number), and print the table. Returns what `try_mutant` does."""
    with multiprocessing.get_context("fork").Pool(workers, maxtasksperchild=1) as pool:
        codes = pool.starmap(run_tests, sources.items(), chunksize=1)
        failing = [module for module, code in zip(sources, codes, strict=True) if code]
        if failing:
            sys.exit(f"the tests of {failing[0]} fail without any mutation")
        print("| module | mutants | " + " | ".join(KINDS) + " |\n|---" + 5 * "|---:" + "|")
        jobs = [pool.apply_async(try_mutant, (module, sources[module], *place)) for module, *place in chosen]
        tried = []
        for module, of_module in itertools.groupby(zip(chosen, jobs, strict=True), lambda pair: pair[0][0]):
            tried += (rows := [job.get() for _, job in of_module])
            print_row(f"`{module}.py`", [row[3] for row in rows])
    print_row("**all**", [row[3] for row in tried])
    return tried


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", nargs="+", choices=MODULES, default=WITHOUT_JIT, metavar="NAME")
    parser.add_argument("--sample", type=int, metavar="N", help="only N mutants of all modules together")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default: 0)")
    parser.add_argument("--workers", type=int, default=2, help="mutants at a time (default: 2)")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as empty, open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main([*QUIET, empty])  # imports pytest's plugins
    sources = {module: path_of(module).read_text(encoding="utf-8") for module in options.module}
    chosen = [(module, *place) for module, source in sources.items() for place in places(source)]
    if options.sample:
        chosen = sorted(random.Random(options.seed).sample(chosen, min(options.sample, len(chosen))))
    sources = {module: sources[module] for module, _, _ in chosen}
    for module, source in sources.items():
        for part in itertools.chain(*EQUIVALENT.get(module, {}).values()):
            assert part not in source, f"equivalent.toml: {module} itself has {part}"
    tried = try_all(chosen, sources, options.workers)
    bad = [row for row in tried if row[3] in ("survived", "error")]
    for module, function, line, kind in bad:
        print(f"\n[{module}.{function}]  # {kind}\n'{line}' = ''")
    print(f"\n{time.monotonic() - started:.0f} s")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
