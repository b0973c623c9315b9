"""The one decorator `kernel`: how every kernel is compiled, and where the compiled code is kept.

Compile options
    * ``error_model="numpy"``: a division by zero gives inf or NaN, as in NumPy, and no exception.
    * ``fastmath`` is the subset below. It lets sums be reordered (so that reductions use SIMD) and multiplications
      be fused with additions, but keeps NaN and infinity meaningful: ``nnan`` and ``ninf`` are left out on purpose,
      because with them ``isnan`` is compiled to False.
    * ``nogil=True``: threads can run kernels side by side, on arrays of their own.

Cache policy
    Numba's own cache looks at the file of the compiled function only, so that an edit in a *callee's* file goes
    unnoticed (numba issues 8851 and 9483). Here the cache folder is named by a hash of all the kernels' sources and
    of the versions that shape the machine code: an edit anywhere means another folder, never a stale result.
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
    """Hash of everything that a compiled kernel depends on, the machine aside (Numba's index covers that)."""
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
    except (OSError, RuntimeError):  # not writable; or no home folder
        return Path(tempfile.mkdtemp(prefix="ppo_np-"))


COMPILED = not numba.config.DISABLE_JIT
CACHE_DIR = "" if numba.config.DISABLE_JIT else str(_cache_dir())


def kernel(function):
    """Compile `function` with the house options and the cache folder of this version of the sources.

    With ``NUMBA_DISABLE_JIT=1`` the function is returned as it is: plain Python, open to a debugger.
    """
    users_cache_dir = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = CACHE_DIR
    try:
        return numba.njit(function, cache=True, nogil=True, fastmath=set(FASTMATH), error_model="numpy")
    finally:
        numba.config.CACHE_DIR = users_cache_dir
