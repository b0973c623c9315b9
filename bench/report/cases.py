"""Commands whose results are in docs/results.md beside those of the presets: a name, and the flags of a training."""

from ppo_np.config import GENERIC_CONTINUOUS, GENERIC_DISCRETE

_ENVIRONMENTS = {
    "cartpole": (GENERIC_DISCRETE, "CartPole-v1"),
    "acrobot": (GENERIC_DISCRETE, "Acrobot-v1"),
    "frozenlake": (GENERIC_DISCRETE, "FrozenLake-v1", "--env-kwargs", "is_slippery=False", "--no-norm-obs"),
    "pendulum": (GENERIC_CONTINUOUS, "Pendulum-v1"),
    "lunarlandercontinuous": (GENERIC_CONTINUOUS, "LunarLanderContinuous-v3"),
    "bipedalwalker": (GENERIC_CONTINUOUS, "BipedalWalker-v3"),
}
CASES = {
    f"generic-{name}": ["--preset", preset, "--env-id", env_id, *flags]
    for name, (preset, env_id, *flags) in _ENVIRONMENTS.items()
}
GENERIC = list(CASES)  # environments that the generic presets were not tuned on
