"""Shared by the benchmarks: one BLAS thread, and the rule that results agree before they are timed.

`pytest bench/kernels --benchmark-enable` measures, `pytest bench/kernels` runs each function once. The tables group a
kernel with plain NumPy by kernel and shape. `extra_info`, which `--benchmark-json=FILE` writes, has the work of a call,
GFLOP/s or GB/s at the median, and the seconds of the kernel's first call, which compiles it or loads it from the cache.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from time import perf_counter

import pytest

from bench.kernels.cases import Case
from bench.ours import limit_blas_threads
from bench.reference.agreement import assert_agree


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Give NumPy's and SciPy's BLAS one thread each: neither side shall win by its number of threads."""
    with limit_blas_threads(1):
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each benchmark a row for the kernel and one for NumPy."""
    if "time_case" in metafunc.fixturenames:
        metafunc.parametrize("time_case", ["kernel", "numpy"], indirect=True)


def bytes_of(arguments) -> int:
    """Bytes of all arrays in a kernel's arguments, each counted once: the least that has to be read or written."""
    if isinstance(arguments, tuple):
        return sum(map(bytes_of, arguments))
    return getattr(arguments, "nbytes", 0)


@pytest.fixture
def time_case(request: pytest.FixtureRequest, benchmark) -> Callable[[Case], None]:
    """Check that a kernel and NumPy leave the same numbers, then time one of them."""
    who = request.param

    def run(case: Case) -> None:
        ours, theirs = deepcopy(case.arguments), deepcopy(case.arguments)
        begin = perf_counter()
        returned = case.ours(*ours)
        benchmark.extra_info["first_call_seconds"] = perf_counter() - begin
        expected = case.numpy_version(*theirs)
        assert_agree(returned, expected)
        assert_agree(ours, theirs)
        shape = [part for part in request.node.callspec.id.split("-") if part != who]
        benchmark.group = " ".join([case.ours.__name__, *shape])
        own = deepcopy(case.timed or case.arguments)
        benchmark(case.ours if who == "kernel" else case.numpy_version, *own)
        if benchmark.stats:
            work, unit = (case.flop, "GFLOP/s") if case.flop else (bytes_of(case.arguments), "GB/s")
            benchmark.extra_info |= {"work": work, unit: work / benchmark.stats.stats.median / 1e9}

    return run
