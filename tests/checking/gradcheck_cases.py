"""Environments that only have spaces, and small settings, for the gradient check's tests."""

import gymnasium
import sample_environments  # noqa: F401  registers the test environments
from gymnasium import spaces

from ppo_np import PPOConfig


class OfSpaces(gymnasium.Env):
    """Only has spaces."""

    def __init__(self, action_space, observation_space=None):
        self.action_space = action_space
        self.observation_space = observation_space or spaces.Box(-1, 1, (3,))


def of_spaces(name, *given):
    """The id of an environment with these spaces."""
    env_id = f"ppo_np_test/{name}-v0"
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, lambda: OfSpaces(*given))
    return env_id


MULTI_BINARY = of_spaces("MultiBinary", spaces.MultiBinary((2, 2)))
BOX = of_spaces("Box", spaces.Box(-1, 1, (3,)))
SEQUENCE = of_spaces("Sequence", spaces.Discrete(2), spaces.Sequence(spaces.Discrete(2)))
DICT = of_spaces("Dict", spaces.Dict(a=spaces.Discrete(2)))
TERMS = ["policy_loss/dlogprobs", "entropy/dentropies", "value_loss/dvalues", "loss/dlogits"]


def small(**settings):
    return PPOConfig(**{"env_id": "CartPole-v1", "shared_sizes": (3, 3)} | settings)
