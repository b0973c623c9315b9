"""The same work in torch and in JAX, where they are installed (`pip install ".[peers]"`), on one thread each.

A version in `bench/peers/kernels_torch.py` or `bench/peers/kernels_jax.py` has the kernel's name and its arguments.
torch's write into the same memory as the kernel would; JAX's return what the arguments numbered in `WRITTEN` would
hold. JAX's are compiled for the shapes and for the scalars, which are constants of the program; the conversion of
arrays, and compilation, are not timed, but waiting for the result is.
"""

import importlib
import inspect
import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from types import ModuleType

import numpy as np

from bench.machine import limits
from bench.reference.agreement import assert_agree

RIVALS = tuple(name for name in ("torch", "jax") if find_spec(name))


@cache
def versions(rival: str) -> ModuleType:
    """The module of a rival's versions, imported with the rival limited to one thread."""
    if rival == "jax":
        os.environ.update({name: limits(1)[name] for name in ("NPROC", "XLA_FLAGS", "JAX_PLATFORMS")})
    return importlib.import_module(f"bench.peers.kernels_{rival}")


def rivals_of(kernel_name: str) -> list[str]:
    """The installed rivals that have a version of a kernel."""
    return [rival for rival in RIVALS if inspect.isfunction(getattr(versions(rival), kernel_name, None))]


def ready(rival: str, kernel_name: str, arguments: tuple) -> Callable[[], object]:
    """A call without arguments that does the work on a copy of them, and has done it once."""
    module = versions(rival)
    call = module.bound(getattr(module, kernel_name), arguments)
    call()
    return call


def check(rival: str, kernel_name: str, before: tuple, after: tuple, returned: object) -> None:
    """Raise AssertionError if a rival leaves other numbers than NumPy did: `after`, and what it returned."""
    module = versions(rival)
    result = module.bound(getattr(module, kernel_name), before)()
    if returned is not None:
        assert_agree(np.asarray(result), returned)
        return
    positions = getattr(module, "WRITTEN", {}).get(kernel_name, range(len(after)))
    assert_agree(tuple(np.asarray(one) for one in result), tuple(after[i] for i in positions))
