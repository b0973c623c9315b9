"""PPO in NumPy and Numba, with every gradient written by hand.

From Python:
    from ppo_np import PPO

    PPO("CartPole-v1", total_timesteps=100_000).learn(run_dir="runs/cartpole", progress=True)
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppo_np.errors import UserError

if TYPE_CHECKING:
    from ppo_np import callbacks
    from ppo_np.config import PPOConfig
    from ppo_np.environments.compiled import CompiledEnv
    from ppo_np.errors import DivergedError, EnvironmentFault
    from ppo_np.evaluation.policy_evaluation import evaluate_policy
    from ppo_np.learning.policy import Policy
    from ppo_np.learning.policy_file import load_policy
    from ppo_np.running.api import PPO

__version__ = "0.1.0"
__all__ = [
    "PPO", "CompiledEnv", "DivergedError", "EnvironmentFault", "PPOConfig", "Policy", "UserError", "__version__",
    "callbacks", "evaluate_policy", "load_policy",
]  # fmt: skip

_MODULES = {  # of the names outside ppo_np.errors
    "PPO": "ppo_np.running.api",
    "PPOConfig": "ppo_np.config",
    "CompiledEnv": "ppo_np.environments.compiled",
    "Policy": "ppo_np.learning.policy",
    "evaluate_policy": "ppo_np.evaluation.policy_evaluation",
    "load_policy": "ppo_np.learning.policy_file",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `python -m ppo_np.train --help` does not wait for Numba and Gymnasium."""
    if name == "callbacks":
        return importlib.import_module("ppo_np.callbacks")
    if name not in __all__:
        raise AttributeError(f"module 'ppo_np' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES.get(name, "ppo_np.errors")), name)


def __dir__() -> list[str]:
    """Also the names that are imported on first use."""
    return sorted({*globals(), *__all__})


def _check_kernels() -> None:
    """Raise UserError unless `import kernels` gives the package that belongs to this one. Nothing is imported here.

    Other things have this name: a file or a folder where Python is started, which comes first, or a package that
    another distribution has installed, perhaps into the same folder.
    """
    own = Path(__file__).resolve().parents[1] / "kernels"
    try:
        spec: Any = importlib.util.find_spec("kernels")
    except ValueError:  # a module that was made by hand
        spec = None
    found = spec and (spec.origin or next(iter(spec.submodule_search_locations)))
    is_own = found and Path(found).resolve().with_suffix("") in (own, own / "__init__")
    source = spec.loader.get_source("kernels") if is_own and spec.origin else None
    if not is_own or (source and "ppo_np" not in source):
        raise UserError(
            f"ppo_np needs its own package kernels, {own}, but Python finds {found or 'no file'} under this name: "
            "rename that file or folder or start Python elsewhere; if another package has installed it, install ppo_np "
            "again in a virtual environment without that package."
        )


try:
    _check_kernels()
except UserError as error:
    if sys.argv[:1] == ["-m"] or Path(sys.argv[0]).stem == "ppo-np":  # a command, which Python is about to start
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    raise
