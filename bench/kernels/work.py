"""How much work a call does, how quickly, and how that compares with the most that this machine does.

Peaks are measured on one thread: floating point operations by a product of two float32 matrices of 1024 x 1024, bytes
by adding two float32 arrays far larger than the caches into a third. Arrays that fit into a cache are thus served at
several times the "peak".
"""

import timeit
from functools import cache, partial

import numpy as np

SGEMM_SIZE = 1024
STREAM_BYTES = 64 * 2**20
REPEATS = 20


def bytes_of(arguments) -> int:
    """Bytes of all arrays in a kernel's arguments, each counted once: the least that has to be read or written."""
    if isinstance(arguments, tuple):
        return sum(map(bytes_of, arguments))
    return getattr(arguments, "nbytes", 0)


@cache
def peak(unit: str) -> float:
    """The most "flop" or "bytes" a second; call it with BLAS limited to one thread."""
    if unit == "flop":
        a, b, c = np.ones((3, SGEMM_SIZE, SGEMM_SIZE), np.float32)
        work, call = 2 * SGEMM_SIZE**3, partial(np.dot, a, b, out=c)
    else:
        a, b, c = np.ones((3, STREAM_BYTES // 4), np.float32)
        work, call = 3 * STREAM_BYTES, partial(np.add, a, b, out=c)
    return work / min(timeit.repeat(call, number=1, repeat=REPEATS))


def rate(unit: str, work: float, seconds: float) -> dict[str, float]:
    """What `extra_info` says: the work of a call, GFLOP/s or GB/s, and the share of the peak."""
    name = {"flop": "GFLOP/s", "bytes": "GB/s"}[unit]
    return {unit: work, name: work / seconds / 1e9, "share_of_peak": work / seconds / peak(unit)}
