"""Shared by the benchmarks: one BLAS thread, and the rule that results agree before they are timed.

`pytest bench/kernels --benchmark-enable` measures, `pytest bench/kernels` runs each function once. The tables group a
kernel with plain NumPy by kernel and shape, and with torch and JAX if they are installed (rivals.py). `extra_info`,
which `--benchmark-json=FILE` writes, has the work of a call, GFLOP/s or GB/s at the median, its share of this machine's
peak (work.py), and the seconds of the kernel's first call, which compiles it or loads it from the cache.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from time import perf_counter

import pytest

from bench.kernels.cases import Case
from bench.kernels.rivals import check, ready, rivals_of
from bench.kernels.work import bytes_of, rate
from bench.ours import limit_blas_threads
from bench.reference.agreement import assert_agree


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Give NumPy's and SciPy's BLAS one thread each: neither side shall win by its number of threads."""
    with limit_blas_threads(1):
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each benchmark a row for the kernel, one for NumPy, and one for each installed rival that has a version."""
    if "time_case" in metafunc.fixturenames:
        names = ["kernel", "numpy", *rivals_of(metafunc.definition.name.removeprefix("test_"))]
        metafunc.parametrize("time_case", names, indirect=True)


@pytest.fixture
def time_case(request: pytest.FixtureRequest, benchmark) -> Callable[[Case], None]:
    """Check that a kernel, NumPy and the rival leave the same numbers, then time one of them."""
    who = request.param

    def run(case: Case) -> None:
        ours, theirs = deepcopy(case.arguments), deepcopy(case.arguments)
        begin = perf_counter()
        returned = case.ours(*ours)
        benchmark.extra_info["first_call_seconds"] = perf_counter() - begin
        expected = case.numpy_version(*theirs)
        assert_agree(returned, expected)
        assert_agree(ours, theirs)
        name = case.ours.__name__
        benchmark.group = " ".join([name, *(part for part in request.node.callspec.id.split("-") if part != who)])
        own = deepcopy(case.timed or case.arguments)
        if who in ("kernel", "numpy"):
            benchmark(case.ours if who == "kernel" else case.numpy_version, *own)
        else:
            check(who, name, case.arguments, theirs, expected)
            benchmark(ready(who, name, own))
        if benchmark.stats:
            unit, work = ("flop", case.flop) if case.flop else ("bytes", bytes_of(case.arguments))
            benchmark.extra_info |= rate(unit, work, benchmark.stats.stats.median)

    return run
