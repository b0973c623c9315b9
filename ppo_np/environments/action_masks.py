"""Which actions are valid: read from the infos or from a method of an environment, and checked."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from ppo_np.errors import EnvironmentFault, UserError, short

MASK = "action_mask"  # the name under which a guard gives the mask in its infos


class MaskReader:
    """Reads action masks of environments: (K,) int8 each, 1 where an action is valid.

    K is the number of choices of Discrete; for MultiDiscrete, the masks of its components stand one after the other.

    Args:
        source: the setting `action_mask`: "info:NAME" or "method:NAME".
        space: action space of a single environment, Discrete or MultiDiscrete.

    Attributes:
        in_infos: whether the masks are in the infos.
        width: K.
    """

    def __init__(self, source: str, space: gymnasium.Space):
        kind, _, self._name = source.partition(":")
        self.in_infos = kind == "info"
        self._source = source
        sizes = np.reshape(getattr(space, "nvec", getattr(space, "n", 0)), -1)
        self._starts = np.cumsum(sizes) - sizes
        self.width = int(sizes.sum())

    def of_environment(self, env: gymnasium.Env, info: Any, who: str) -> np.ndarray:
        """The mask of one environment, `who` in messages, after a reset or a step that gave `info`.

        Raises EnvironmentFault if there is none, or as `checked`.
        """
        if self.in_infos:
            return self.checked(info.get(self._name) if isinstance(info, Mapping) else None, who)
        try:
            method = env.get_wrapper_attr(self._name)
        except AttributeError as error:
            raise EnvironmentFault(f"{who} has no method {self._name}, but action_mask is {self._source!r}") from error
        return self.checked(method(), who)

    def of_infos(self, infos: Any, needed: np.ndarray, first: int) -> np.ndarray:
        """The masks of N environments, (N, K), from the infos of a vector environment; 1 where none is needed.

        Args:
            infos: a dict of arrays, or a list with a dict for each environment.
            needed: (N,) bool.
            first: index of the first environment among those of all ranks.

        Raises EnvironmentFault as `of_environment`.
        """
        masks = np.ones((len(needed), self.width), np.int8)
        given = self._each(infos, len(needed))
        for n in np.flatnonzero(needed).tolist():
            masks[n] = self.checked(given[n], f"environment {first + n}")
        return masks

    def _each(self, infos: Any, envs: int) -> Sequence[Any]:
        """The mask of each environment as it is in the infos; None where there is none."""
        if isinstance(infos, list | tuple):
            return [info.get(self._name) if isinstance(info, Mapping) else None for info in infos]
        given, there = infos.get(self._name), infos.get(f"_{self._name}", np.ones(envs, bool))
        if given is None or len(given) != envs:
            return [given] * envs  # of a wrong shape, or missing
        return [one if known else None for one, known in zip(given, there, strict=True)]

    def checked(self, given: Any, who: str) -> np.ndarray:
        """A mask as (K,) int8.

        Raises EnvironmentFault if it is missing, has another shape or other numbers than 0 and 1, or allows no action.
        """
        if given is None:
            raise EnvironmentFault(f"{who} gave no action mask, but action_mask is {self._source!r}")
        try:
            mask = np.asarray(given)
        except ValueError:  # lists of different lengths
            mask = np.asarray(None)
        known = mask.shape == (self.width,) and mask.dtype.kind in "buif"
        if not known or not ((mask == 0) | (mask == 1)).all():
            allowed = f"{self.width} numbers, 1 for a valid action and 0 for an invalid one"
            if len(self._starts) > 1:
                allowed += ", the components of the action one after the other"
            raise EnvironmentFault(f"{who} gave the action mask {short(given)}, but it must be {allowed}")
        mask = mask.astype(np.int8)
        valid = np.maximum.reduceat(mask, self._starts)
        if not valid.all():
            part = f" in component {int(np.argmin(valid))}" if len(valid) > 1 else ""
            raise EnvironmentFault(f"{who} gave an action mask that allows no action{part}, but one must be valid")
        return mask


def caller_masks(action_mask: Any, length: int | None, space: gymnasium.Space) -> np.ndarray:
    """Masks that were given to a function as its `action_mask`, as (B, K) int8.

    Args:
        action_mask: (K,) if `length` is None, else B = `length` of them.
        space: action space, Discrete or MultiDiscrete.

    Raises:
        UserError: As `MaskReader.checked`, or there are not B masks.
    """
    reader = MaskReader("info:action_mask", space)
    try:
        masks = [action_mask] if length is None else list(action_mask)
    except TypeError:
        masks = []
    if length is not None and len(masks) != length:
        raise UserError(f"action_mask is {short(action_mask)}, but it must have a row for each of {length} rows.")
    try:
        checked = [reader.checked(mask, "the caller") for mask in masks]
    except EnvironmentFault as fault:
        raise UserError(f"action_mask cannot be used: {fault}.") from None
    return np.array(checked, np.int8).reshape(-1, reader.width)
