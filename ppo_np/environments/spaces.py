"""Conversion between Gymnasium's spaces and the network's arrays: observations become flat, actions fit their space."""

import math
from collections.abc import Callable, Iterator
from functools import partial, reduce
from operator import getitem
from typing import Any

import numpy as np
from gymnasium import spaces

from ppo_np.errors import UserError, check, short

IMAGE_SCALE = np.float32(1 / 255)


class ObservationAdapter:
    """Turns batches of observations into flat observations, (B, D).

    All spaces are supported that `gymnasium.spaces.flatten_space` turns into a Box, with the numbers in the same order:
    Box and MultiBinary flattened, Discrete and MultiDiscrete one-hot, Tuple and Dict one part after the other, Text as
    the indices of its characters, OneOf as the index and the chosen part. Images (Box of uint8 from 0 to 255) are
    divided by 255; arrays of uint8 keep them as they are, and `scale` is applied on the way into the network.

    Attributes:
        size: D, the length of a flat observation.
        dtype: of arrays that hold observations without loss: uint8 for a Box of uint8, else float32.
        scale: factor for the network's inputs if flat observations have that dtype.
        copies: whether `flatten` only copies the numbers of arrays that are in the space.

    Raises:
        UserError: The space cannot be flattened into a Box, or it is empty.
    """

    def __init__(self, space: spaces.Space):
        try:
            flattenable, self.size = space.is_np_flattenable, spaces.flatdim(space)
        except (ValueError, NotImplementedError):
            flattenable, self.size = False, 0
        if not flattenable:
            what = f"The observation space is {short(space)}"
            raise UserError(f"{what}, but it must be one that can be flattened into a Box.")
        check(self.size >= 1, "The observation space", space, "of at least one number")
        self.space = space
        self._leaves = [(*leaf, _writer(leaf[1])) for leaf in _leaves(space)]
        is_box, scaled = isinstance(space, spaces.Box), is_image(space)
        self.dtype = np.uint8 if is_box and space.dtype == np.uint8 else np.float32
        self.scale = IMAGE_SCALE if scaled else np.float32(1)
        self.copies = is_box and not scaled

    def flatten(self, observations: Any, flat_obs: np.ndarray) -> None:
        """Write a batch of observations into `flat_obs`, (B, D); an index out of its Discrete space becomes NaN."""
        for path, _, columns, write in self._leaves:
            write(_part(observations, path), flat_obs[:, columns])

    def flatten_one(self, observation: Any, flat_obs: np.ndarray) -> None:
        """Write one observation into `flat_obs`, (D,), as `flatten` does."""
        for path, leaf, columns, write in self._leaves:
            part = _part(observation, path)
            write([part] if leaf.shape is None else np.asarray(part)[np.newaxis], flat_obs[np.newaxis, columns])

    def batch_length(self, observations: Any) -> int | None:
        """B for a batch of observations, None for a single one; raises UserError if it is neither."""
        try:
            lengths = {_batch_length(leaf, _part(observations, path)) for path, leaf, *_ in self._leaves}
        except (KeyError, IndexError, TypeError, ValueError):
            lengths = set()
        if len(lengths) == 1:
            return lengths.pop()
        if isinstance(observations, np.ndarray) and self.space.shape is not None:
            given, shape = observations.shape, self.space.shape
            raise UserError(f"obs has shape {given}, but it must be {shape} or (B, {str(shape)[1:]}.")
        what = f"in {short(self.space)}, or a batch of observations in it"
        raise UserError(f"obs is {short(observations)}, but it must be {what}.")


def same_form(one: spaces.Space, other: spaces.Space) -> bool:
    """Whether both spaces are equal up to bounds and precision of Boxes: a policy for one can play in the other."""
    if isinstance(one, spaces.Box) and isinstance(other, spaces.Box):
        alike = one.shape == other.shape and np.dtype(one.dtype).kind == np.dtype(other.dtype).kind
        return alike and is_image(one) == is_image(other)
    if isinstance(one, spaces.Dict) and isinstance(other, spaces.Dict):
        return one.keys() == other.keys() and all(same_form(one[key], other[key]) for key in one)
    if isinstance(one, spaces.Tuple) and isinstance(other, spaces.Tuple):
        return len(one) == len(other) and all(map(same_form, one, other))
    return one == other


def brief(space: spaces.Space) -> str:
    """A space in a few words: a Box by its shape only."""
    return f"Box{space.shape}" if isinstance(space, spaces.Box) else short(space, 60)


def has_numbers(space: spaces.Space) -> bool:
    """Whether the space, or a part of it, is a Box: the others become zeros and ones, or indices."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return any(map(has_numbers, space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces))
    return isinstance(space, spaces.Box)


def _part(observations: Any, path: tuple) -> Any:
    return reduce(getitem, path, observations) if path else observations


def _batch_length(leaf: spaces.Space, part: Any) -> int | None:
    """As `ObservationAdapter.batch_length`, for one part; raises ValueError if it is neither."""
    if leaf.shape is None:
        if leaf.contains(part):
            return None
        if not isinstance(part, tuple | list) or not all(map(leaf.contains, part)):
            raise ValueError
        return len(part)
    array = np.asarray(part)
    if array.dtype.kind not in "biuf" or array.shape not in (leaf.shape, (*array.shape[:1], *leaf.shape)):
        raise ValueError
    return None if array.shape == leaf.shape else len(array)


def _leaves(space: spaces.Space, path: tuple = (), start: int = 0) -> Iterator[tuple[tuple, spaces.Space, slice]]:
    """The parts of a nested space: the keys that lead to each part, its space, and its columns in flat observations."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in parts:
            yield from _leaves(part, (*path, key), start)
            start += spaces.flatdim(part)
    else:
        yield path, space, slice(start, start + spaces.flatdim(space))


def is_image(space: spaces.Space) -> bool:
    """Whether a space is a Box of uint8 from 0 to 255."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8:
        return False
    return bool((space.low == 0).all() and (space.high == 255).all())


def _writer(leaf: spaces.Space) -> Callable[[Any, np.ndarray], None]:
    """A function that writes a batch of observations in this space into their columns."""
    if isinstance(leaf, spaces.Discrete | spaces.MultiDiscrete):
        return partial(_write_one_hot, leaf)
    if isinstance(leaf, spaces.Box | spaces.MultiBinary):
        return partial(_write_image if is_image(leaf) else _write_numbers, leaf)
    return partial(_write_one_by_one, leaf)


def _write_numbers(leaf: spaces.Box | spaces.MultiBinary, batch: Any, flat_obs: np.ndarray) -> None:
    array = np.asarray(batch)
    if array.shape[1:] != leaf.shape:
        raise ValueError(f"shape {array.shape} instead of {(len(flat_obs), *leaf.shape)}")
    is_exact = flat_obs.dtype != np.uint8 or array.dtype == np.uint8
    if not is_exact and not (array.dtype.kind in "iu" and np.array_equal(array, array.astype(np.uint8))):
        raise ValueError("numbers that are not integers from 0 to 255")
    flat_obs[:] = array.reshape(flat_obs.shape)


def _write_image(leaf: spaces.Box | spaces.MultiBinary, batch: Any, flat_obs: np.ndarray) -> None:
    _write_numbers(leaf, batch, flat_obs)
    if flat_obs.dtype != np.uint8:
        flat_obs *= IMAGE_SCALE


def _write_one_by_one(leaf: spaces.Space, batch: Any, flat_obs: np.ndarray) -> None:
    for target, observation in zip(flat_obs, batch, strict=True):
        target[:] = spaces.flatten(leaf, observation)


def _write_one_hot(leaf: spaces.Discrete | spaces.MultiDiscrete, batch: Any, flat_obs: np.ndarray) -> None:
    counts = np.reshape(leaf.n if isinstance(leaf, spaces.Discrete) else leaf.nvec, -1)
    choices = np.reshape(np.asarray(batch) - leaf.start, (len(flat_obs), len(counts)))
    known = ((choices >= 0) & (choices < counts) & (choices == np.floor(choices))).all(axis=1)
    columns = np.cumsum(counts) - counts + choices
    flat_obs[:] = 0
    flat_obs[np.flatnonzero(known)[:, np.newaxis], columns[known].astype(np.int64)] = 1
    flat_obs[~known] = np.nan


class ActionAdapter:
    """Turns the policy's actions into the environment's.

    Discrete and MultiDiscrete actions begin at 0 for the policy and at `start` for the environment. Actions in a Box
    are clipped to its bounds for the environment; learning uses the unclipped ones. What is squashed into the Box is
    clipped as well, because rounding can lead out of it.
    """

    def __init__(self, space: spaces.Space):
        self.space = space
        self.shape: tuple[int, ...] = space.shape or ()
        self._start = getattr(space, "start", 0)
        self._counts = space.n if isinstance(space, spaces.Discrete) else getattr(space, "nvec", 2)  # of the choices
        self._is_shifted = bool(np.any(self._start))

    def to_env(self, actions: np.ndarray) -> np.ndarray:
        """The environment's actions, (B, *shape of the space), for the policy's, (B, ...); always a new array."""
        if actions.ndim > 1:
            actions = actions.reshape(len(actions), *self.shape)
        if isinstance(self.space, spaces.Box):
            return np.clip(actions, self.space.low, self.space.high).astype(self.space.dtype)
        return (actions + self._start if self._is_shifted else actions).astype(self.space.dtype)

    def from_env(self, actions: Any, length: int | None, bounded: bool) -> np.ndarray:
        """The policy's actions for the environment's: (B, A), or (B,) for Discrete.

        Args:
            actions: one action if `length` is None, and B is 1; else B = `length` of them.
            bounded: whether numbers outside of a Box are refused.

        Raises UserError if they are not such actions.
        """
        try:
            array = np.asarray(actions)
        except ValueError:  # lists of different lengths
            array = np.asarray(None)
        rows = () if length is None else (length,)
        if array.shape != (*rows, *self.shape) or array.dtype.kind not in "biuf" or not self._contains(array, bounded):
            what = "an action" if length is None else f"{length} actions, one for each observation,"
            raise UserError(f"actions is {short(actions)}, but it must be {what} in {short(self.space)}.")
        count = 1 if length is None else length
        if isinstance(self.space, spaces.Box):
            return array.astype(self.space.dtype).reshape(count, math.prod(self.shape))
        numbers = (array - self._start).astype(np.int64)
        return numbers.reshape(count) if isinstance(self.space, spaces.Discrete) else numbers.reshape(count, -1)

    def _contains(self, array: np.ndarray, bounded: bool) -> bool:
        """Whether all numbers, of one action or of many, are in the space, or finite if it is not bounded."""
        if isinstance(self.space, spaces.Box):
            inside = ((self.space.low <= array) & (array <= self.space.high)).all()
            return bool(np.isfinite(array).all() and (inside or not bounded))
        numbers = array - self._start
        return bool(((numbers >= 0) & (numbers < self._counts) & (numbers == np.floor(numbers))).all())
