"""The action head: which distribution the policy uses, chosen by the action space and the settings."""

import math
from dataclasses import dataclass, replace

import numpy as np
from gymnasium import spaces

from ppo_np.config import PPOConfig
from ppo_np.errors import UserError, check, short
from ppo_np.network.continuous import Beta, Squashed, StateGaussian, StateSquashed
from ppo_np.network.distributions import Bernoulli, Categorical, Distribution, Gaussian, MultiCategorical

# Those of real numbers, by action_distribution and log_std.
OF_BOX: dict[tuple[str, str], type[Distribution]] = {
    ("gaussian", "parameter"): Gaussian, ("gaussian", "state"): StateGaussian,
    ("squashed", "parameter"): Squashed, ("squashed", "state"): StateSquashed, ("beta", "parameter"): Beta,
}  # fmt: skip
DISCRETE: tuple[type[Distribution], ...] = (Categorical, MultiCategorical, Bernoulli)
DISTRIBUTIONS = {kind.__name__: kind for kind in (*DISCRETE, *OF_BOX.values())}


@dataclass(frozen=True)
class ActionHead:
    """A distribution and its sizes.

    Attributes:
        kind: class of the distribution.
        sizes: outputs for each component of the action: the number of choices, or 1 for a bit, or 1 or 2 for a real
            number.
        masked: whether a mask says which actions are valid, (B, K) for B rows.
        bounds: low and high of the components, if the distribution is one over a Box; else empty.

    Raises:
        ValueError: The parts do not fit each other.
    """

    kind: type[Distribution]
    sizes: tuple[int, ...]
    masked: bool = False
    bounds: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.kind.outputs_each and set(self.sizes) - {self.kind.outputs_each}:
            raise ValueError(f"{self.kind.__name__} has sizes of {self.kind.outputs_each}, not {self.sizes}")
        if [len(side) for side in self.bounds] != [len(self.sizes)] * 2 * self.kind.is_bounded:
            raise ValueError(f"{self.kind.__name__} has other bounds")
        if not all(low < high and math.isfinite(high - low) for low, high in zip(*self.bounds, strict=True)):
            raise ValueError("the bounds are not finite, or not in order")

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
            are action masks, and the space is not Discrete or MultiDiscrete; or the settings want a distribution that
            the space cannot have.
    """
    is_box = isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
    for name, default in (("action_distribution", "gaussian"), ("log_std", "parameter")):
        value = getattr(config, name)
        if value != default and not is_box:
            raise UserError(f"{name} is {value!r}, but that needs actions in a Box of floats, not in {short(space)}.")
    if isinstance(space, spaces.Discrete):
        head = ActionHead(Categorical, (int(space.n),))
    elif isinstance(space, spaces.MultiDiscrete):
        head = ActionHead(MultiCategorical, tuple(int(n) for n in space.nvec.reshape(-1)))
    elif isinstance(space, spaces.MultiBinary):
        head = ActionHead(Bernoulli, (1,) * int(np.prod(space.shape)))
    elif isinstance(space, spaces.Box) and is_box:
        head = _of_box(space, config)
    else:
        allowed = "Discrete, MultiDiscrete, MultiBinary or a Box of floats"
        raise UserError(f"The action space is {short(space)}, but it must be {allowed}.")
    check(head.outputs >= 1, "The action space", space, "of at least one number")
    if config.action_mask and not head.kind.takes_mask:
        allowed = "masks need actions in Discrete or MultiDiscrete"
        raise UserError(f"action_mask is {config.action_mask!r}, but {allowed}, and they are in {short(space)}.")
    return replace(head, masked=bool(config.action_mask))


def _of_box(space: spaces.Box, config: PPOConfig) -> ActionHead:
    """The head for real numbers. Raises UserError if the distribution needs finite bounds and there are none."""
    kind = OF_BOX[config.action_distribution, config.log_std]
    sizes = (kind.outputs_each,) * int(np.prod(space.shape))
    if not kind.is_bounded:
        return ActionHead(kind, sizes)
    bounds = tuple(tuple(side.reshape(-1).astype(float).tolist()) for side in (space.low, space.high))
    try:
        return ActionHead(kind, sizes, bounds=bounds)
    except ValueError:
        what = f"action_distribution is {config.action_distribution!r}"
        raise UserError(f"{what}, but that needs finite bounds with low < high, not {short(space)}.") from None


def discrete(num_actions: int) -> ActionHead:
    """The head for one choice among K actions."""
    return ActionHead(Categorical, (num_actions,))
