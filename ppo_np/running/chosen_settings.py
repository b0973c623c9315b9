"""With which settings a run begins: those of a preset, which the environment chooses; for commands and from Python."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ppo_np.config import ARTICLE, GENERIC_CONTINUOUS, GENERIC_DISCRETE, PPOConfig, preset_for
from ppo_np.errors import check

if TYPE_CHECKING:
    from ppo_np.environments.make import EnvSource, Spaces


def generic_preset(spaces: "Spaces") -> tuple[str, bool]:
    """The generic preset for these spaces, and whether to normalise observations: not if they are one-hot."""
    from gymnasium.spaces import Box  # slow imports: here, they do not delay --help

    from ppo_np.environments.spaces import has_numbers

    observation_space, action_space = spaces
    return GENERIC_CONTINUOUS if isinstance(action_space, Box) else GENERIC_DISCRETE, has_numbers(observation_space)


def settings_for(env: "EnvSource", preset: str | None, settings: Mapping[str, Any]) -> tuple[PPOConfig, str]:
    """The settings and the preset with which training on an environment begins, as the train command chooses them.

    Args:
        env: an id has the preset of its own if there is one. Everything else has the generic one for its spaces, for
            which one environment is made. None has the article's.
        preset: a name or FILE.toml, which is taken instead.
        settings: field name -> value; they replace those of the preset.

    Raises:
        UserError: A name or a value is wrong, there is no such preset, or the environment cannot be made.
    """
    if isinstance(env, str):
        check("env_id" not in settings, "env_id", settings.get("env_id"), f"left away with the id {env!r}")
        settings = {**settings, "env_id": env}
    preset = preset or (ARTICLE if env is None else preset_for(env) if isinstance(env, str) else None)
    if preset:
        return dataclasses.replace(PPOConfig.preset(preset), **settings), preset
    preset, norm_obs = generic_preset(_spaces(dataclasses.replace(PPOConfig.preset(GENERIC_DISCRETE), **settings), env))
    return dataclasses.replace(PPOConfig.preset(preset), **{"norm_obs": norm_obs, **settings}), preset


def _spaces(config: PPOConfig, env: "EnvSource") -> "Spaces":
    """The spaces of the environment; one is made if it is not made already."""
    from gymnasium.vector import VectorEnv

    from ppo_np.environments.make import close_environments, open_environments, spaces_of_training

    if env is None or isinstance(env, str):
        return spaces_of_training(config)
    one = dataclasses.replace(config, num_envs=1, num_minibatches=1, vectorization="sync")
    envs = env if isinstance(env, VectorEnv) else open_environments(one, env)[1]
    spaces = envs.single_observation_space, envs.single_action_space
    if envs is not env:
        close_environments(envs)
    return spaces
