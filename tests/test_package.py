"""The package as a whole: light imports, the border between kernels and ppo_np, one version."""

import importlib.util
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

import ppo_np
from ppo_np.errors import UserError
from tests.house import ROOMS


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_importing_the_package_imports_nothing_heavy():
    loaded = modules_after("import ppo_np")
    assert not {"numba", "gymnasium", "scipy", "h5py"} & set(loaded)


def test_the_names_of_the_package():
    assert ppo_np.PPO.__module__ == "ppo_np.running.api"
    errors = {"DivergedError", "EnvironmentFault", "UserError"}
    lazy = {"PPO", "PPOConfig", "Policy", "CompiledEnv", "callbacks", "evaluate_policy", "load_policy"}
    assert set(ppo_np.__all__) == {*lazy, "__version__"} | errors
    assert set(ppo_np.__all__) <= set(dir(ppo_np))
    for name in ppo_np.__all__:
        assert getattr(ppo_np, name) is not None


def test_no_framework_is_imported_by_training():
    loaded = set(modules_after("import ppo_np.running.run, ppo_np.evaluation.playback, ppo_np.plot"))
    assert "ppo_np.learning.ppo" in loaded
    assert not {"torch", "jax", "tensorflow"} & loaded


def test_torch_is_not_imported_where_it_is_installed(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import ppo_np.logs.tensorboard; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


FOREIGN = "raise SystemExit('a foreign file was run')"
ROOT = Path(ppo_np.__file__).parents[1]


def file_of_that_name(folder):
    (folder / "kernels.py").write_text(FOREIGN)
    return folder / "kernels.py"


def package_of_that_name(folder):
    (folder / "kernels").mkdir()
    (folder / "kernels" / "__init__.py").write_text(FOREIGN)
    return folder / "kernels" / "__init__.py"


def folder_of_that_name(folder):
    """It comes first where ppo_np is installed in editable mode."""
    (folder / "kernels").mkdir()
    return folder / "kernels"


def nothing(folder):
    return "no file"


def by_hand(folder):
    sys.modules["kernels"] = types.ModuleType("kernels")
    return "no file"


def another_copy_of_ours(folder):
    """Of another version perhaps."""
    (folder / "kernels").mkdir()
    (folder / "kernels" / "__init__.py").write_bytes((ROOT / "kernels" / "__init__.py").read_bytes())
    return folder / "kernels" / "__init__.py"


def refusal(own, found):
    return f"ppo_np needs its own package kernels, {own}, but Python finds {found} under this name: rename that file or"


@pytest.fixture
def not_imported(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "kernels"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kernels", None)  # so that what a test puts there is removed
    del sys.modules["kernels"]


@pytest.mark.parametrize(
    "obstacle",
    [file_of_that_name, package_of_that_name, folder_of_that_name, nothing, by_hand, another_copy_of_ours],
)
def test_a_foreign_kernels_is_refused_by_its_file(monkeypatch, not_imported, tmp_path, obstacle):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UserError, match="^" + re.escape(refusal(ROOT / "kernels", obstacle(tmp_path)))):
        ppo_np._check_kernels()


def test_a_package_that_another_distribution_has_overwritten_is_refused(monkeypatch, not_imported, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(ppo_np, "__file__", str(tmp_path / "ppo_np" / "__init__.py"))
    found = package_of_that_name(tmp_path)
    with pytest.raises(UserError, match="^" + re.escape(refusal(tmp_path / "kernels", found))):
        ppo_np._check_kernels()


@pytest.mark.parametrize("linked", [False, True])
def test_our_own_kernels_is_known_wherever_it_stands(monkeypatch, not_imported, tmp_path, linked):
    """Through a link to its folder, and with its files linked one by one, as in a strict editable install."""
    ppo_np._check_kernels()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    if linked:
        (tmp_path / "kernels").symlink_to(ROOT / "kernels")
    else:
        (tmp_path / "kernels").mkdir()
        (tmp_path / "kernels" / "__init__.py").symlink_to(ROOT / "kernels" / "__init__.py")
    ppo_np._check_kernels()


def test_every_command_and_import_say_which_file_came_instead(tmp_path):
    found, environment = file_of_that_name(tmp_path), os.environ | {"PYTHONPATH": str(ROOT)}
    sentence = refusal(ROOT / "kernels", found)

    def outcome(*arguments):
        command = [sys.executable, *arguments]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        return ended.returncode, ended.stdout, ended.stderr

    for name in sorted(set(ROOMS["commands"].split()) - {"__main__"}):
        assert importlib.util.find_spec(f"ppo_np.{name}")
        code, out, err = outcome("-m", f"ppo_np.{name}", "--help")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: {sentence}")
    for statement in ("import ppo_np", "from ppo_np.learning.policy import Policy"):
        code, _, err = outcome("-c", statement)
        assert code == 1
        assert err.splitlines()[-1].startswith(f"ppo_np.errors.UserError: {sentence}")
