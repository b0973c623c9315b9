"""Shared by the benchmarks: random arrays, one BLAS thread, and the rule that results agree before they are timed.

`pytest bench --benchmark-enable` measures, `pytest bench` runs each function once. The tables group a kernel with
plain NumPy by kernel and shape; `kernel_or_numpy` gives every benchmark its two rows.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import pytest
from agreement import assert_agree

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


@pytest.fixture(params=["kernel", "numpy"])
def kernel_or_numpy(request: pytest.FixtureRequest, benchmark) -> Callable[..., None]:
    """Check that a kernel and NumPy leave the same numbers, then time one of the two."""

    def run(kernel: Callable, numpy_version: Callable, *arguments, timed: tuple | None = None) -> None:
        """Call both on copies of the arguments, compare what they leave and return, time on `timed` or on a copy."""
        ours, theirs = deepcopy(arguments), deepcopy(arguments)
        assert_agree(kernel(*ours), numpy_version(*theirs))
        assert_agree(ours, theirs)
        case = [part for part in request.node.callspec.id.split("-") if part != request.param]
        benchmark.group = " ".join([kernel.__name__, *case])
        benchmark(kernel if request.param == "kernel" else numpy_version, *deepcopy(timed or arguments))

    return run
