"""The decorator `kernel`: how every kernel is compiled, and where the compiled code is cached.

Compile options
    * ``error_model="numpy"``: a division by zero gives inf or NaN, as in NumPy, and raises no exception.
    * ``fastmath`` is the subset below. It allows the compiler to reorder sums (so that reductions use SIMD) and to fuse
      multiplications with additions. NaN and infinity keep their meaning: ``nnan`` and ``ninf`` are left out on
      purpose, because with them ``isnan`` is compiled to False. So is ``arcp``: with it, two divisions by the same
      number become products with its inverse, and a kernel gives other bits where it is called by another kernel.
    * ``nogil=True``: several threads can run kernels at the same time, each on its own arrays.
    * ``no_cfunc_wrapper=True``: no second entry, for calls from C, is compiled, because nothing calls it.

Cache policy
    Numba's own cache only looks at the file of the compiled function. It does not notice an edit in the file of a
    *called* function (numba issues 8851 and 9483). So the name of our cache folder is a hash of the sources of all
    kernels and of the versions that affect the machine code. After an edit of any kernel, another folder is used.
    The cache only saves time: if its folder cannot be written or has damaged files, kernels are compiled, and one
    warning says so.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import tempfile
import warnings
import zlib
from pathlib import Path
from typing import ClassVar

import llvmlite
import numba
import numpy
from numba.core import sigutils
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator
from numba.core.serialize import dumps

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FASTMATH = frozenset({"nsz", "contract", "afn", "reassoc"})
OPTIONS = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def _cache_key() -> str:
    """Hash of everything that a compiled kernel depends on, except the machine, which Numba's index covers."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    versions = numba.__version__, llvmlite.__version__, numpy.__version__, platform.python_version()
    for part in (*versions, f"boundscheck={numba.config.BOUNDSCHECK}"):
        digest.update(part.encode())
    return digest.hexdigest()[:16]


def _cache_dir() -> str:
    """Folder for compiled kernels, in ``NUMBA_CACHE_DIR`` or the user's cache folder; empty if it cannot be written.

    Without a folder, kernels are compiled in each process. A temporary folder would not help: no other run finds it,
    and if its name could be guessed, another user could put code into it.
    """
    if numba.config.DISABLE_JIT:
        return ""
    try:
        user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(numba.config.CACHE_DIR or Path(user_cache) / "ppo_np") / _cache_key()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder.absolute())  # also for an environment that changes the working folder
    except (OSError, RuntimeError) as error:  # not writable, or there is no home folder
        _warn_of_no_cache(str(error))
        return ""


@functools.cache
def _warn_once(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)


def _warn_of_no_cache(reason: str) -> None:
    _warn_once(f"Compiled kernels cannot be kept ({reason}), so each run compiles them again; set NUMBA_CACHE_DIR.")


class _CheckedCode(CompileResultCacheImpl):
    """How compiled code is written into a file: with a checksum, because the processor would run damaged code."""

    _locator_classes: ClassVar = [UserProvidedCacheLocator]  # never a folder whose name is not our hash

    def reduce(self, data):
        """What is pickled for compiled code: a checksum, and Numba's own reduction as bytes."""
        code = dumps(super().reduce(data))
        return zlib.crc32(code), code

    def rebuild(self, target_context, reduced_data):
        """The compiled code again. Raises ValueError if its bytes have another checksum."""
        checksum, code = reduced_data
        if zlib.crc32(code) != checksum:
            raise ValueError("wrong checksum")
        return super().rebuild(target_context, pickle.loads(code))


class _KernelCache(FunctionCache):
    """Numba's cache of one kernel, whose files may be damaged or cannot be written: then the kernel is compiled.

    A power failure leaves empty or cut files. Without a lock (on Windows), two processes that fill the cache together
    can leave the code for arrays of float64 where that for float32 is looked for.
    """

    _impl_class = _CheckedCode

    def load_overload(self, sig, target_context):
        """The compiled code for these argument types; None if there is none, or none that can be used."""
        try:
            compiled = super().load_overload(sig, target_context)
            if compiled is not None and compiled.signature.args != sigutils.normalize_signature(sig)[0]:
                raise ValueError("code for arguments of other types")
            return compiled
        except Exception:  # reading a damaged pickle can raise anything
            _warn_once(f"The cache of compiled kernels, {CACHE_DIR}, has damaged files; they are compiled again.")
        with contextlib.suppress(OSError):
            self.flush()  # replaces the index by an empty one
        return None

    def save_overload(self, sig, data):
        """Write compiled code to the cache; a warning says if that is not possible."""
        try:
            with _one_at_a_time():
                super().save_overload(sig, data)
        except Exception as error:  # OSError, or anything if `load_overload` could not replace a damaged index
            _warn_of_no_cache(f"{CACHE_DIR}: {getattr(error, 'strerror', None) or error}")


@contextlib.contextmanager
def _one_at_a_time():
    """A context in which no other process writes to the cache: of two that do, one would lose its entry in an index."""
    with open(Path(CACHE_DIR) / "lock", "w") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


COMPILED = not numba.config.DISABLE_JIT
CACHE_DIR = _cache_dir()


class _UsersCache(_KernelCache):
    """The cache of a kernel that calls functions of a user: its folder is named by a hash of their code.

    Numba would look at the objects in the kernel's closure, which are others in each process.
    """

    def _index_key(self, sig, codegen):
        return sig, codegen.magic_tuple(), ""


def kernel(function):
    """Compile `function` with the options above and the cache folder of this version of the sources.

    With ``NUMBA_DISABLE_JIT=1`` the function is returned unchanged: plain Python, for use with a debugger.
    """
    compiled = numba.njit(function, fastmath=set(FASTMATH), **OPTIONS)
    return _cached(compiled, function, _KernelCache, CACHE_DIR)


def users_kernel(function, key):
    """Compile a function of ours that calls functions of a user; as `kernel`, but without ``fastmath``.

    So every operation in it rounds as in NumPy.

    Args:
        function: with the user's functions in its closure.
        key: hash of the code of the user's functions; empty if it is unknown: then nothing is cached.
    """
    compiled = numba.njit(function, **OPTIONS)
    return _cached(compiled, function, _UsersCache, users_cache_dir(key))


def called_kernel(function):
    """Compile a function that only a `users_kernel` calls; as that one, but without an entry for calls from Python."""
    return numba.njit(function, no_cpython_wrapper=True, **OPTIONS)


def is_missing(compiled):
    """Whether the folder of a `users_kernel` holds no machine code yet; False if it has no folder."""
    folder = compiled._cache.cache_path if hasattr(compiled, "_cache") else None
    return folder is not None and not any(Path(folder).glob("*.nbi"))


def users_cache_dir(key):
    """The folder of the compiled functions of a user; empty if there is none."""
    return str(Path(CACHE_DIR) / key) if CACHE_DIR and key else ""


def _cached(compiled, function, cache, folder):
    """`compiled`, with a cache of this class in a folder, or without one if `folder` is empty."""
    users_setting = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = folder
    try:
        if folder:
            compiled._cache = cache(function)  # as `cache=True` does with Numba's own class
    except RuntimeError:  # Numba's, if no folder can be made in it
        _warn_of_no_cache(f"{folder}: no folder can be made in it")
    finally:
        numba.config.CACHE_DIR = users_setting
    return compiled
