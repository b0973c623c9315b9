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
DOSING = ["--preset", GENERIC_CONTINUOUS, "--env-id", "examples.dosing:Dosing-v0", "--total-timesteps", "200000"]
CASES |= {
    "pendulum-squashed": ["--preset", "pendulum", "--action-distribution", "squashed"],
    "pendulum-beta": ["--preset", "pendulum", "--action-distribution", "beta"],
    "dosing-beta": [*DOSING, "--action-distribution", "beta"],
    "dosing-rescaled": [*DOSING, "--rescale-actions"],
}
CASES |= {  # of the package minigrid
    f"minigrid-{size}-{name}": [
        "--preset", GENERIC_DISCRETE, "--env-id", f"minigrid:MiniGrid-Empty-{size}-v0", "--wrappers",
        f"minigrid.wrappers:{wrapper}", "--total-timesteps", steps,
    ]
    for size, steps in (("5x5", "100000"), ("8x8", "200000"))
    for name, wrapper in (("image", "ImgObsWrapper"), ("flat", "FlatObsWrapper"))
}  # fmt: skip
