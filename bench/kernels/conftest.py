"""Shared by the benchmarks: one BLAS thread, and the rule that results agree before they are timed.

`pytest bench/kernels --benchmark-enable` measures, `pytest bench/kernels` runs each function once. The tables group a
kernel with plain NumPy by kernel and shape.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy

import pytest

from bench.kernels.cases import Case
from bench.ours import limit_blas_threads
from bench.reference.agreement import check_case


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Give NumPy's and SciPy's BLAS one thread each: neither side shall win by its number of threads."""
    with limit_blas_threads(1):
        yield


@pytest.fixture(params=["kernel", "numpy"])
def time_case(request: pytest.FixtureRequest, benchmark) -> Callable[[Case], None]:
    """Check that a kernel and NumPy leave the same numbers, then time one of them."""

    def run(case: Case) -> None:
        check_case(case)
        shape = [part for part in request.node.callspec.id.split("-") if part != request.param]
        benchmark.group = " ".join([case.ours.__name__, *shape])
        own = deepcopy(case.timed or case.arguments)
        benchmark(case.ours if request.param == "kernel" else case.numpy_version, *own)

    return run
