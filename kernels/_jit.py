"""The decorator `kernel`: how every kernel is compiled, and where the compiled code is cached.

Compile options
    * ``error_model="numpy"``: a division by zero gives inf or NaN, as in NumPy, and raises no exception.
    * ``fastmath`` is the subset below. It allows the compiler to reorder sums (so that reductions use SIMD) and to fuse
      multiplications with additions. NaN and infinity keep their meaning: ``nnan`` and ``ninf`` are left out on
      purpose, because with them ``isnan`` is compiled to False.
    * ``nogil=True``: several threads can run kernels at the same time, each on its own arrays.

Cache policy
    Numba's own cache only looks at the file of the compiled function. It does not notice an edit in the file of a
    *called* function (numba issues 8851 and 9483). So the name of our cache folder is a hash of the sources of all
    kernels and of the versions that affect the machine code. After an edit of any kernel, another folder is used.
"""

import hashlib
import os
import platform
import tempfile
from pathlib import Path

import llvmlite
import numba
import numpy

FASTMATH = frozenset({"nsz", "arcp", "contract", "afn", "reassoc"})


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


def _cache_dir() -> Path:
    """Folder for compiled kernels: ``NUMBA_CACHE_DIR``, or the user's cache folder, or a temporary one."""
    try:
        user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(numba.config.CACHE_DIR or Path(user_cache) / "ppo_np") / _cache_key()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # not writable, or there is no home folder
        return Path(tempfile.mkdtemp(prefix="ppo_np-"))


COMPILED = not numba.config.DISABLE_JIT
CACHE_DIR = "" if numba.config.DISABLE_JIT else str(_cache_dir())


def kernel(function):
    """Compile `function` with the options above and the cache folder of this version of the sources.

    With ``NUMBA_DISABLE_JIT=1`` the function is returned unchanged: plain Python, for use with a debugger.
    """
    users_cache_dir = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = CACHE_DIR
    try:
        return numba.njit(function, cache=True, nogil=True, fastmath=set(FASTMATH), error_model="numpy")
    finally:
        numba.config.CACHE_DIR = users_cache_dir
