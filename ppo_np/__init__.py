"""PPO on NumPy and Numba alone, every gradient written by hand.

From Python:
    from ppo_np import PPO, PPOConfig

    PPO(PPOConfig(env_id="CartPole-v1", total_timesteps=100_000)).learn().save("cartpole.h5")
"""

import importlib

__version__ = "0.1.0"
__all__ = ["PPO", "DivergedError", "EnvironmentFault", "PPOConfig", "UserError", "__version__"]

_HOMES = {
    "PPO": "ppo_np.learning.ppo",
    "PPOConfig": "ppo_np.config",
    "DivergedError": "ppo_np.errors",
    "EnvironmentFault": "ppo_np.errors",
    "UserError": "ppo_np.errors",
}


def __getattr__(name: str):
    """Import on first use: `python -m ppo_np.train --help` need not wait for Numba and Gymnasium."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ppo_np' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
