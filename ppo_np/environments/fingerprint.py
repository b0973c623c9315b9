"""A hash of compiled functions and of all that they refer to, so that their machine code can be found on disk again."""

import builtins
import hashlib
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

LIBRARIES = ("builtins", "cmath", "math", "numba", "numpy")  # their versions are in the name of the cache folder


class _UnknownError(Exception):
    """An object whose content cannot be described."""


def fingerprint(*values: Any) -> str:
    """A hash of functions with the functions, constants and arrays that they use, and of plain values.

    Returns the empty string if something that a function uses is none of these: its content is unknown.
    """
    digest = hashlib.sha256()
    try:
        for part in _parts(values, set()):
            digest.update(f"{len(part)} {part}".encode())
    except (_UnknownError, RecursionError):
        return ""
    return digest.hexdigest()[:16]


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    """Texts that together are different for different values."""
    if hasattr(value, "py_func"):  # a function that Numba compiles
        yield repr(sorted(value.targetoptions.items(), key=str))
        value = value.py_func
    yield type(value).__qualname__
    if isinstance(value, FunctionType | type | BuiltinFunctionType | np.ufunc | ModuleType) and _is_library(value):
        yield f"{getattr(value, '__module__', '')}.{value.__name__}"
    elif isinstance(value, FunctionType):
        if id(value) not in seen:
            seen.add(id(value))
            yield from _function_parts(value, seen)
    elif isinstance(value, CodeType):
        yield repr((value.co_code, value.co_names, value.co_varnames, value.co_freevars))
        yield from _parts(value.co_consts, seen)
    elif isinstance(value, tuple | frozenset):
        for one in sorted(value, key=repr) if isinstance(value, frozenset) else value:
            yield from _parts(one, seen)
    elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        yield repr((value.dtype.str, value.shape, value.tobytes()))
    elif isinstance(value, int | float | complex | str | bytes | np.dtype | None):
        yield repr(value)
    else:
        raise _UnknownError


def _function_parts(function: Callable[..., Any], seen: set[int]) -> Iterator[str]:
    code = function.__code__
    yield from _parts((code, function.__defaults__ or ()), seen)
    for cell in function.__closure__ or ():
        yield from _parts(cell.cell_contents, seen)
    names = sorted(_names(code))
    for name in names:
        if name not in function.__globals__:
            continue  # a builtin or an attribute
        value = function.__globals__[name]
        if isinstance(value, ModuleType) and not _is_library(value):
            for attribute in names:
                if hasattr(value, attribute):
                    yield from (attribute, *_parts(getattr(value, attribute), seen))
        elif not hasattr(builtins, name) or value is not getattr(builtins, name):
            yield from (name, *_parts(value, seen))


def _names(code: CodeType) -> set[str]:
    """All names of globals and attributes in a function and in the functions inside it."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _is_library(value: Any) -> bool:
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return isinstance(value, np.ufunc) or (module or "").split(".")[0] in LIBRARIES
