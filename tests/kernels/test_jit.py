"""How kernels are compiled, where the compiled code is kept, and what kernels may import."""

import ast
import os
import subprocess
import sys
import tempfile
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


def test_cache_folder_is_numbas_else_the_users_else_at_home(no_cache_settings, monkeypatch, tmp_path):
    key = _jit._cache_key()
    assert _jit._cache_dir() == tmp_path / "home" / ".cache" / "ppo_np" / key
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert _jit._cache_dir() == tmp_path / "xdg" / "ppo_np" / key
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "numba"))
    assert _jit._cache_dir() == tmp_path / "numba" / key
    assert (tmp_path / "numba" / key).is_dir()


def test_a_cache_folder_that_cannot_be_made_is_replaced_by_a_temporary_one(no_cache_settings, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = _jit._cache_dir()
    assert folder.parent == tmp_path / "temporary"
    assert folder.is_dir()


def test_a_read_only_cache_folder_is_replaced_by_a_temporary_one(no_cache_settings, monkeypatch, tmp_path):
    def refuse(dir):
        raise PermissionError(dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert _jit._cache_dir().parent == tmp_path / "temporary"


def test_a_user_without_a_home_gets_a_temporary_folder(no_cache_settings, monkeypatch, tmp_path):
    def refuse():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", refuse)
    assert _jit._cache_dir().parent == tmp_path / "temporary"


def test_numbas_own_cache_setting_is_left_as_it_was(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def refuse(*_, **__):
        raise RuntimeError

    _jit.kernel(lambda x: x)
    assert str(tmp_path) == numba.config.CACHE_DIR
    monkeypatch.setattr(numba, "njit", refuse)
    with pytest.raises(RuntimeError):
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
