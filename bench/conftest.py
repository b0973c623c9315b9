"""Shared by the benchmarks: random arrays, one BLAS thread, and the rule that results agree before they are timed.

`pytest bench --benchmark-enable` measures, `pytest bench` runs each function once. The tables group a kernel with
plain NumPy by kernel and shape; `kernel_or_numpy` gives every benchmark its rows, also of torch and JAX if they are
installed (rivals.py). In `extra_info`, which `--benchmark-json=FILE` writes: the work of a call, GFLOP/s or GB/s at the
median, its share of this machine's peak (work.py), and what compiling took, which no time includes (first.py).
"""

from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import pytest
from agreement import assert_agree
from first import first_call
from rivals import check, ready, rivals_of
from work import bytes_of, rate

from ppo_np.threads import limit_blas_threads


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """Give NumPy's and SciPy's BLAS one thread each: neither side shall win by its number of threads."""
    with limit_blas_threads(1):
        yield


@pytest.fixture
def sizes(shape: str) -> tuple[int, ...]:
    """The numbers in the parameter `shape`, for instance (128, 64) for "128x64"."""
    return tuple(int(size) for size in shape.split("x"))


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers for the kernel as for NumPy."""
    return np.random.default_rng(0)


@pytest.fixture
def normal(rng: np.random.Generator) -> Callable[..., np.ndarray]:
    """Make float32 arrays of standard normal numbers: `normal(128, 64)`; as outputs, they show what stays unwritten."""
    return lambda *shape: rng.standard_normal(shape, np.float32)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each benchmark a row for the kernel, one for NumPy, and one for each installed rival that has a version."""
    if "kernel_or_numpy" in metafunc.fixturenames:
        names = ["kernel", "numpy", *rivals_of(metafunc.function.__name__.removeprefix("test_"))]
        metafunc.parametrize("kernel_or_numpy", names, indirect=True)


@pytest.fixture
def kernel_or_numpy(request: pytest.FixtureRequest, benchmark) -> Callable[..., None]:
    """Check that a kernel, NumPy and the rival leave the same numbers, then time one of them."""
    who = request.param

    def run(kernel: Callable, numpy_version: Callable, *arguments, timed: tuple | None = None, flop: float = 0) -> None:
        """Call them on copies of the arguments, compare what they leave and return, time one on another copy.

        Args:
            kernel, numpy_version: the two.
            arguments: of both.
            timed: arguments to time on, if not those.
            flop: floating point operations of a call, for kernels that those limit; the others are limited by bytes.
        """
        ours, theirs = deepcopy(arguments), deepcopy(arguments)
        returned, compiled = first_call(kernel, ours)
        expected = numpy_version(*theirs)
        assert_agree(returned, expected)
        assert_agree(ours, theirs)
        case = [part for part in request.node.callspec.id.split("-") if part != who]
        benchmark.group = " ".join([kernel.__name__, *case])
        own = deepcopy(timed or arguments)
        if who in ("kernel", "numpy"):
            benchmark(kernel if who == "kernel" else numpy_version, *own)
        else:
            check(who, kernel.__name__, arguments, theirs, expected)
            benchmark(ready(who, kernel.__name__, own))
        if benchmark.stats:
            unit, work = ("flop", flop) if flop else ("bytes", bytes_of(arguments))
            benchmark.extra_info |= rate(unit, work, benchmark.stats.stats.median)
            benchmark.extra_info |= compiled if who == "kernel" else {}

    return run
