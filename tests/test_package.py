"""The package as a whole: light imports, the border between kernels and ppo_np, one version."""

import subprocess
import sys

import ppo_np


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_importing_the_package_imports_nothing_heavy():
    loaded = modules_after("import ppo_np")
    assert not {"numba", "gymnasium", "scipy", "h5py"} & set(loaded)


def test_the_names_of_the_package():
    assert ppo_np.PPO.__module__ == "ppo_np.learning.ppo"
    assert set(ppo_np.__all__) == {"PPO", "PPOConfig", "DivergedError", "EnvironmentFault", "UserError", "__version__"}
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
