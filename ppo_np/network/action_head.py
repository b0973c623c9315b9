"""The action head: which distribution the policy uses, chosen by the action space."""

from dataclasses import dataclass, replace

import numpy as np
from gymnasium import spaces

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check, short
from ppo_np.network.distributions import Bernoulli, Categorical, Distribution, Gaussian, MultiCategorical

DISTRIBUTIONS = {kind.__name__: kind for kind in (Categorical, MultiCategorical, Bernoulli, Gaussian)}


@dataclass(frozen=True)
class ActionHead:
    """A distribution and its sizes.

    Attributes:
        kind: class of the distribution.
        sizes: outputs for each component of the action: the number of choices, or 1 for a bit or a real number.
        masked: whether a mask says which actions are valid, (B, K) for B rows.
    """

    kind: type[Distribution]
    sizes: tuple[int, ...]
    masked: bool = False

    @property
    def outputs(self) -> int:
        """K, the number of outputs of the policy head."""
        return sum(self.sizes)

    @property
    def has_log_std(self) -> bool:
        """Whether the parameters include log_std, one number for each component."""
        return self.kind.has_log_std


def action_head(space: spaces.Space, config: PPOConfig) -> ActionHead:
    """The head for the action space of a single environment.

    Raises:
        UserError: The space is not Discrete, MultiDiscrete, MultiBinary or a Box of floats, or it is empty; or there
            are action masks, and the space is not Discrete or MultiDiscrete.
    """
    if isinstance(space, spaces.Discrete):
        head = ActionHead(Categorical, (int(space.n),))
    elif isinstance(space, spaces.MultiDiscrete):
        head = ActionHead(MultiCategorical, tuple(int(n) for n in space.nvec.reshape(-1)))
    elif isinstance(space, spaces.MultiBinary):
        head = ActionHead(Bernoulli, (1,) * int(np.prod(space.shape)))
    elif isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating):
        head = ActionHead(Gaussian, (1,) * int(np.prod(space.shape)))
    else:
        allowed = "Discrete, MultiDiscrete, MultiBinary or a Box of floats"
        raise UserError(f"The action space is {short(space)}, but it must be {allowed}.")
    check(head.outputs >= 1, "The action space", space, "of at least one number")
    if config.action_mask and not head.kind.takes_mask:
        allowed = "masks need actions in Discrete or MultiDiscrete"
        raise UserError(f"action_mask is {config.action_mask!r}, but {allowed}, and they are in {short(space)}.")
    return replace(head, masked=bool(config.action_mask))


def discrete(num_actions: int) -> ActionHead:
    """The head for one choice among K actions."""
    return ActionHead(Categorical, (num_actions,))
