"""PPO in NumPy and Numba, with every gradient written by hand.

From Python:
    from ppo_np import PPO, PPOConfig

    PPO(PPOConfig(env_id="CartPole-v1", total_timesteps=100_000)).learn().save("cartpole.h5")
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppo_np.config import PPOConfig
    from ppo_np.errors import DivergedError, EnvironmentFault, UserError
    from ppo_np.learning.ppo import PPO

__version__ = "0.1.0"
__all__ = ["PPO", "DivergedError", "EnvironmentFault", "PPOConfig", "UserError", "__version__"]

_MODULES = {"PPO": "ppo_np.learning.ppo", "PPOConfig": "ppo_np.config"}  # of the names outside ppo_np.errors


def __getattr__(name: str) -> Any:
    """Import on first use, so that `python -m ppo_np.train --help` does not wait for Numba and Gymnasium."""
    if name not in __all__:
        raise AttributeError(f"module 'ppo_np' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES.get(name, "ppo_np.errors")), name)
