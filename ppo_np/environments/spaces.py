"""Gymnasium spaces and what the network sees of them: flat observations in, actions out."""

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from ppo_np.errors import UserError, check

IMAGE_SCALE = np.float32(1 / 255)


class ObservationAdapter:
    """Turns batches of observations into rows of D numbers.

    Every space that `gymnasium.spaces.flatten_space` turns into a Box is welcome, and the numbers stand in its order:
    Box and MultiBinary flattened, Discrete and MultiDiscrete one-hot, Tuple and Dict one part after the other, Text as
    the indices of its characters, OneOf as the index and the chosen part. Images (Box of uint8 from 0 to 255) are
    divided by 255, in rows of uint8 later, on their way into the network (see `scale`).

    Args:
        space: observation space of a single environment.

    Attributes:
        size: D, the length of a flat observation.
        dtype: of rows that hold observations without loss: uint8 for a Box of uint8, else float32.
        scale: what rows of that dtype have to be multiplied with for the network.
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
            raise UserError(
                f"The observation space is {_in_one_line(space)}, but it must be one that can be flattened into a Box."
            )
        check(self.size >= 1, "The observation space", space, "of at least one number")
        self.space = space
        self._leaves = [(*leaf, _writer(leaf[1])) for leaf in _leaves(space)]
        box = isinstance(space, spaces.Box)
        image = box and _is_image(space)
        self.dtype = np.uint8 if box and space.dtype == np.uint8 else np.float32
        self.scale = IMAGE_SCALE if image else np.float32(1)
        self.copies = box and not image

    def flatten(self, observations: Any, rows: np.ndarray) -> None:
        """Write a batch of observations, as a vector environment gives it, into `rows`, (B, D).

        An index that is not in its Discrete space becomes NaN, for the check for finite numbers to find.
        """
        for path, leaf, columns, write in self._leaves:
            write(leaf, _part(observations, path), rows[:, columns])

    def flatten_one(self, observation: Any, row: np.ndarray) -> None:
        """Write one observation, as a single environment gives it, into `row`, (D,)."""
        for path, leaf, columns, write in self._leaves:
            part = _part(observation, path)
            write(leaf, [part] if leaf.shape is None else np.asarray(part)[np.newaxis], row[np.newaxis, columns])

    def batch_length(self, observations: Any) -> int | None:
        """B for a batch of observations, None for a single one.

        Raises:
            UserError: It is neither.
        """
        try:
            lengths = {_batch_length(leaf, _part(observations, path)) for path, leaf, *_ in self._leaves}
        except (KeyError, IndexError, TypeError, ValueError):
            lengths = set()
        if len(lengths) == 1:
            return lengths.pop()
        if isinstance(observations, np.ndarray) and self.space.shape is not None:
            given, shape = observations.shape, self.space.shape
            raise UserError(f"obs has shape {given}, but it must be {shape} or (B, {str(shape)[1:]}.")
        given = _in_one_line(repr(observations))
        raise UserError(f"obs is {given}, but it must be in {_in_one_line(self.space)}, or a batch of such.")


def _in_one_line(thing: Any) -> str:
    return " ".join(str(thing).split())


def _part(observations: Any, path: tuple) -> Any:
    """What the keys of a path lead to, one after the other."""
    return functools.reduce(operator.getitem, path, observations) if path else observations


def _batch_length(leaf: spaces.Space, part: Any) -> int | None:
    """As `ObservationAdapter.batch_length`, of one part; ValueError if it is neither."""
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
    """The parts of a nested space: the keys that lead there, the space, the columns that it fills."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in parts:
            yield from _leaves(part, (*path, key), start)
            start += spaces.flatdim(part)
    else:
        yield path, space, slice(start, start + spaces.flatdim(space))


def _is_image(space: spaces.Box) -> bool:
    return bool(space.dtype == np.uint8 and (space.low == 0).all() and (space.high == 255).all())


def _writer(leaf: spaces.Space) -> Callable[[spaces.Space, Any, np.ndarray], None]:
    """The function below that writes a batch of such a part's observations into its columns."""
    if isinstance(leaf, spaces.Box):
        return _write_image if _is_image(leaf) else _write_numbers
    if isinstance(leaf, spaces.MultiBinary):
        return _write_numbers
    if isinstance(leaf, spaces.Discrete | spaces.MultiDiscrete):
        return _write_one_hot
    return _write_one_by_one


def _write_numbers(leaf: spaces.Space, batch: Any, rows: np.ndarray) -> None:
    array = np.asarray(batch)
    if array.shape[1:] != leaf.shape:
        raise ValueError(f"shape {array.shape} instead of {(len(rows), *leaf.shape)}")
    if rows.dtype == np.uint8 and array.dtype != np.uint8 and not _are_bytes(array):
        raise ValueError("numbers that are no integers from 0 to 255")
    rows[:] = array.reshape(rows.shape)


def _are_bytes(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and bool(((array >= 0) & (array <= 255)).all())


def _write_image(leaf: spaces.Box, batch: Any, rows: np.ndarray) -> None:
    _write_numbers(leaf, batch, rows)
    if rows.dtype != np.uint8:
        rows *= IMAGE_SCALE


def _write_one_by_one(leaf: spaces.Space, batch: Any, rows: np.ndarray) -> None:
    for row, observation in zip(rows, batch, strict=True):
        row[:] = spaces.flatten(leaf, observation)


def _write_one_hot(leaf: spaces.Discrete | spaces.MultiDiscrete, batch: Any, rows: np.ndarray) -> None:
    counts = np.reshape(leaf.n if isinstance(leaf, spaces.Discrete) else leaf.nvec, -1)
    choices = np.reshape(np.asarray(batch) - leaf.start, (len(rows), len(counts)))
    known = ((choices >= 0) & (choices < counts) & (choices == np.floor(choices))).all(axis=1)
    columns = np.cumsum(counts) - counts + choices
    rows[:] = 0
    rows[np.flatnonzero(known)[:, np.newaxis], columns[known].astype(np.int64)] = 1
    rows[~known] = np.nan


class ActionAdapter:
    """Turns the policy's actions into the environment's.

    Discrete and MultiDiscrete are counted from 0 by the policy and from `start` by the environment. The policy's real
    numbers are kept as they are for learning; the environment of a Box sees them clipped to its bounds.

    Args:
        space: action space of a single environment.
    """

    def __init__(self, space: spaces.Space):
        self.space = space
        self._starts = bool(np.any(getattr(space, "start", 0)))

    def to_env(self, actions: np.ndarray) -> np.ndarray:
        """The environment's actions, (B, *shape of the space), for the policy's, (B, ...); always a new array."""
        space = self.space
        if actions.ndim > 1:
            actions = actions.reshape(len(actions), *space.shape)
        if isinstance(space, spaces.Box):
            return np.clip(actions, space.low, space.high).astype(space.dtype)
        if self._starts:
            actions = actions + space.start
        return actions.astype(space.dtype)
