"""Compile time apart from run time: the first call of a kernel with arrays of these types, in this process.

With a warm cache it is the time that loading the compiled code takes. To see compilation itself, start cold:

    XDG_CACHE_HOME=$(mktemp -d) pytest bench --benchmark-enable --benchmark-json=cold.json
"""

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import numba

_compiled: dict[tuple, dict[str, Any]] = {}


def first_call(kernel: Callable, arguments: tuple) -> tuple[Any, dict[str, Any]]:
    """Call the kernel; what it returned, and for `extra_info` "compile_seconds" and whether the cache was "warm".

    The seconds are those of the call in this process that first came with these types. Kernels that it calls and that
    were compiled before are not counted again. Nothing is said of a kernel that is not compiled.
    """
    if not hasattr(kernel, "signatures"):
        return kernel(*arguments), {}
    _start_numba()
    known, hits = set(kernel.signatures), sum(kernel.stats.cache_hits.values())
    start = perf_counter()
    returned = kernel(*arguments)
    seconds = perf_counter() - start
    for signature in set(kernel.signatures) - known:
        cache = "warm" if sum(kernel.stats.cache_hits.values()) > hits else "cold"
        _compiled[kernel, signature] = {"compile_seconds": seconds, "compile_cache": cache}
    return returned, _compiled.get((kernel, _signature(kernel, arguments)), {})


@cache
def _start_numba() -> None:
    """Compile something small: the first compilation of a process pays for Numba's own start."""
    numba.njit(lambda x: x)(1.0)


def _signature(kernel: Callable, arguments: tuple) -> tuple:
    return tuple(kernel.typeof_pyval(one) for one in arguments)
