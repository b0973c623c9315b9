"""How kernels are compiled, where the compiled code is kept, and what kernels may import."""

import ast
import errno
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest
from conftest import needs_jit

import kernels
from kernels import _jit

SOURCES = sorted(Path(kernels.__file__).parent.glob("*.py"))
ALLOWED_IMPORTS = {"kernels", "numba", "numpy", "llvmlite", "scipy"} | sys.stdlib_module_names
FORBIDDEN_IMPORTS = {"ppo_np", "gymnasium", "h5py"}


@_jit.kernel
def count_nan(x):
    count = 0
    for i in range(x.shape[0]):
        count += np.isnan(x[i])
    return count


@_jit.kernel
def divide(x, y):
    return x / y


def python(code, **environment):
    """What a fresh interpreter prints, with these environment variables on top of ours."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(kernels.__file__).parents[1],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the kernels' sources, which the cache key is computed from for the length of a test."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    for source in SOURCES:
        (folder / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(_jit, "__file__", str(folder / "_jit.py"))
    return folder


@pytest.fixture(autouse=True)
def nothing_was_said_before():
    _jit._warn_once.cache_clear()


@pytest.fixture
def no_cache_settings(monkeypatch, tmp_path):
    """Neither environment nor configuration names a cache folder; home is empty, temporary folders are kept apart."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("name", [source.name for source in SOURCES])
def test_cache_key_changes_with_every_source(package, name):
    before = _jit._cache_key()
    with open(package / name, "a") as source:
        source.write("#")
    assert _jit._cache_key() != before


def test_cache_key_changes_when_a_source_is_added_or_renamed(package):
    keys = [_jit._cache_key()]
    (package / "extra.py").write_text("")
    keys.append(_jit._cache_key())
    (package / "extra.py").rename(package / "other.py")
    keys.append(_jit._cache_key())
    assert len(set(keys)) == 3


def test_cache_key_depends_on_contents_and_not_on_the_place(package):
    assert _jit._cache_key() == python("from kernels import _jit; print(_jit._cache_key())")[0]


@pytest.mark.parametrize(
    "version", ["numba.__version__", "llvmlite.__version__", "numpy.__version__", "platform.python_version"]
)
def test_cache_key_changes_with_every_version(monkeypatch, version):
    before = _jit._cache_key()
    other = (lambda: "0.0") if version == "platform.python_version" else "0.0"
    monkeypatch.setattr(f"kernels._jit.{version}", other)
    assert _jit._cache_key() != before


def test_cache_key_changes_with_checks_of_bounds(monkeypatch):
    """Numba's own index leaves them out: without this, code compiled without the checks would be taken for checked."""
    before = _jit._cache_key()
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", not numba.config.BOUNDSCHECK)
    assert _jit._cache_key() != before


@needs_jit
def test_cache_folder_is_numbas_else_the_users_else_at_home(no_cache_settings, monkeypatch, tmp_path):
    key = _jit._cache_key()
    assert _jit._cache_dir() == str(tmp_path / "home" / ".cache" / "ppo_np" / key)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert _jit._cache_dir() == str(tmp_path / "xdg" / "ppo_np" / key)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "numba"))
    assert _jit._cache_dir() == str(tmp_path / "numba" / key)
    assert (tmp_path / "numba" / key).is_dir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "relative")
    assert _jit._cache_dir() == str(tmp_path / "relative" / key)


def unwritable(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))


def read_only(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


def no_home(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", refuse)


def refuse(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device", "a file")


@needs_jit
@pytest.mark.parametrize("obstacle", [unwritable, read_only, no_home])
def test_without_a_cache_folder_nothing_is_kept_and_one_warning_says_so(
    no_cache_settings, monkeypatch, tmp_path, obstacle
):
    obstacle(monkeypatch, tmp_path)
    with pytest.warns(RuntimeWarning, match="^Compiled kernels cannot be kept .* set NUMBA_CACHE_DIR") as warned:
        assert [_jit._cache_dir(), _jit._cache_dir()] == ["", ""]
    assert len(warned) == 1
    assert list((tmp_path / "temporary").iterdir()) == []
    monkeypatch.setattr(_jit, "CACHE_DIR", "")
    assert _jit.kernel(count_nan.py_func)(np.zeros(1)) == 0


def fresh_kernels():
    """Two kernels as a process that has just started sees them."""
    return _jit.kernel(count_nan.py_func), _jit.kernel(divide.py_func)


def results(kernels):
    counter, divider = kernels
    return [counter(np.float32([1, np.nan])), counter(np.zeros(3)), divider(1.0, 2.0)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache folder that holds these kernels."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit, "CACHE_DIR", str(folder))
        assert results(fresh_kernels()) == [1, 0, 0.5]
    return folder


@pytest.fixture
def cache(filled, tmp_path, monkeypatch):
    """A copy of it, which is in use."""
    monkeypatch.setattr(_jit, "CACHE_DIR", str(tmp_path / "cache"))
    return shutil.copytree(filled, tmp_path / "cache")


@needs_jit
def test_whether_a_users_kernel_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(_jit, "CACHE_DIR", str(tmp_path))
    kept, unkept = _jit.users_kernel(divide.py_func, "key"), _jit.users_kernel(divide.py_func, "")
    assert [_jit.is_missing(one) for one in (kept, unkept)] == [True, False]
    kept(1.0, 2.0), unkept(1.0, 2.0)
    assert [_jit.is_missing(one) for one in (kept, unkept)] == [False, False]
    assert not _jit.is_missing(divide.py_func)


WRITER = """
import sys, time
import numpy as np
from numba.core.caching import IndexDataCacheFile
from kernels import _jit
from kernels.finite import all_finite
_jit.CACHE_DIR = sys.argv[1]
save = IndexDataCacheFile._save_index
IndexDataCacheFile._save_index = lambda *args: time.sleep(1) or save(*args)
kernel = _jit.kernel(all_finite.py_func)
print("ready", flush=True)
input()
kernel(np.zeros(3, sys.argv[2]))
"""


@needs_jit
def test_processes_that_fill_the_cache_together_lose_nothing(tmp_path):
    """Each compiles the same kernel for another type, and there is a second between reading and writing the index."""
    types = ["f4", "f8", "c8", "c16"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), kind], **pipes) for kind in types]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * len(types)
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate() and writer.returncode for writer in writers] == [0] * len(types)
    assert len(list(tmp_path.rglob("*.nbc"))) == len(types)


def hits(kernels):
    return sum(sum(compiled.stats.cache_hits.values()) for compiled in kernels)


def swapped(files):
    """What two processes leave that fill the cache at the same time, one with float32 and one with float64."""
    first, second = (file for file in files if "count_nan" in file.name)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def each(change):
    return lambda files: [file.write_bytes(change(file.read_bytes())) for file in files]


DAMAGES = {
    "empty": each(lambda data: b""),
    "cut": each(lambda data: data[: len(data) // 2]),
    "cut by one byte": each(lambda data: data[:-1]),
    "zeros": each(lambda data: bytes(len(data))),
    "another pickle": each(lambda data: pickle.dumps((0, [data]))),
    "zeros in the middle": each(lambda data: data[: len(data) // 2] + bytes(64) + data[len(data) // 2 + 64 :]),
    "unreadable": lambda files: [(file.unlink(), file.mkdir()) for file in files],
}


@needs_jit
@pytest.mark.parametrize(
    ("suffix", "damage"),
    [*((suffix, damage) for suffix in ("nbi", "nbc") for damage in DAMAGES.values()), ("nbc", swapped)],
    ids=[*(f"{damage} {kind}" for kind in ("index", "data") for damage in DAMAGES), "swapped data"],
)
def test_damaged_files_in_the_cache_are_compiled_again_with_one_warning(cache, suffix, damage):
    damage(sorted(cache.rglob(f"*.{suffix}")))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert results(fresh_kernels()) == [1, 0, 0.5]
    sentences = [str(warning.message) for warning in warned]
    assert len(sentences) == len({sentence.split()[0] for sentence in sentences})
    assert all(str(cache) in sentence for sentence in sentences)
    if damage is not DAMAGES["unreadable"]:
        assert not any("cannot be kept" in sentence for sentence in sentences)
        again = fresh_kernels()
        assert results(again) == [1, 0, 0.5]
        assert hits(again) == 3


@needs_jit
@pytest.mark.parametrize("place", ["tempfile.TemporaryFile", "os.makedirs", "os.replace"])
def test_a_full_disk_costs_a_warning(monkeypatch, cache, place):
    """The disk is full when the folder of a module is made, or when a file is written; also beside a damaged index."""
    DAMAGES["empty"](cache.rglob("*.nbi"))
    with monkeypatch.context() as full, pytest.warns(RuntimeWarning) as warned:
        full.setattr(place, refuse)
        assert results(fresh_kernels()) == [1, 0, 0.5]
    assert sum("cannot be kept" in str(warning.message) for warning in warned) == 1
    assert len(warned) <= 2


@needs_jit
def test_numbas_own_cache_setting_is_left_as_it_was(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    _jit.kernel(lambda x: x)
    assert str(tmp_path) == numba.config.CACHE_DIR
    monkeypatch.setattr(_jit, "_KernelCache", refuse)
    with pytest.raises(OSError, match="No space"):
        _jit.kernel(lambda x: x)
    assert str(tmp_path) == numba.config.CACHE_DIR


@needs_jit
def test_compiled_code_is_kept_in_the_cache_folder():
    assert count_nan(np.zeros(1)) == 0
    assert list(Path(_jit.CACHE_DIR).rglob("*.count_nan-*.nbi"))


def test_without_the_jit_kernels_are_plain_functions_and_there_is_no_cache(tmp_path):
    imports = "from types import FunctionType; from kernels.advantage import gae; from kernels import _jit"
    code = f"{imports}; print(type(gae) is FunctionType, repr(_jit.CACHE_DIR))"
    assert python(code, NUMBA_DISABLE_JIT="1", XDG_CACHE_HOME=str(tmp_path)) == ["True", "''"]
    assert list(tmp_path.iterdir()) == []


@needs_jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_isnan_survives_the_fastmath_flags(dtype):
    assert count_nan(np.array([1, np.nan, np.inf, -np.nan], dtype)) == 2


@needs_jit
def test_division_by_zero_gives_infinity_or_nan():
    assert divide(1.0, 0.0) == np.inf
    assert divide(-1.0, 0.0) == -np.inf
    assert np.isnan(divide(0.0, 0.0))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_kernel_file_imports_only_numba_numpy_scipy_and_kernels(source):
    nodes = list(ast.walk(ast.parse(source.read_text())))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    assert {name.split(".")[0] for name in imported} <= ALLOWED_IMPORTS


def test_importing_kernels_loads_no_environment_file_format_or_program():
    modules = [f"kernels.{source.stem}" for source in SOURCES if source.stem != "__init__"]
    loaded = python(f"import sys, {', '.join(modules)}; print(*sys.modules)")
    assert {"kernels.loss", "kernels.optimizer"} <= set(loaded)
    assert not FORBIDDEN_IMPORTS & set(loaded)
