"""Demonstrations: what another policy has seen and done, from an .npz file or a Minari dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ppo_np.errors import UserError, require_extra, short
from ppo_np.learning.policy import Policy
from ppo_np.network.minibatch import Minibatch

OBSERVATIONS, ACTIONS, ENDS, MASKS = "observations", "actions", "episode_ends", "action_masks"  # in the file
FILE = ".npz"
EDGE = 1 / 2000  # of the width of a Box


@dataclass(frozen=True, kw_only=True)
class Demonstrations:
    """M rows of observations and actions.

    Attributes:
        obs: (M, D), flat observations, not normalised.
        actions: (M, ...), as a rollout stores them. env_actions: (M, A), or (M,) for Discrete, as numbers of the action
            space that begin at 0 (of a Box as they are).
        action_mask: (M, K) int8, 1 where an action was valid; None if the policy has no masks.
        episodes: (M,), the number of each row's episode; None if the dataset does not tell where episodes end.
    """

    obs: np.ndarray
    actions: np.ndarray
    env_actions: np.ndarray
    action_mask: np.ndarray | None
    episodes: np.ndarray | None

    def __len__(self) -> int:
        return len(self.obs)

    def gather(self, rows: np.ndarray, policy: Policy, minibatch: Minibatch) -> None:
        """Copy the rows with these indices, (B,), into a minibatch, whose observations are those of the network."""
        policy.preprocess(self.obs[rows], minibatch.obs)
        minibatch.actions[:] = self.actions[rows]
        if minibatch.action_mask is not None and self.action_mask is not None:
            minibatch.action_mask[:] = self.action_mask[rows]


def read_demonstrations(dataset: str, policy: Policy, argument: str = "dataset") -> Demonstrations:
    """Read demonstrations for a policy: observations and actions must be in its spaces.

    Args:
        dataset: a file, NAME.npz, with the arrays observations (M, ...), or observations/KEY for each key of a Dict,
            actions (M, ...), and, if wanted, episode_ends (M,), true in the last row of an episode, and action_masks
            (M, K); or the id of a Minari dataset on this machine.
        policy: gives the spaces and whether actions have masks.
        argument: name of the argument, for messages.

    Raises:
        UserError: There is no such dataset, or an array is missing or does not fit.
    """
    what = f"{argument} is {dataset!r}, but"
    arrays = _of_file(dataset, what) if dataset.endswith(FILE) else _of_minari(dataset, what, argument)
    for name in (OBSERVATIONS, ACTIONS):
        if name not in arrays:
            raise UserError(f"{what} it has no {name}: it must have observations and actions, not {short([*arrays])}.")
    numbers = _actions(arrays[ACTIONS], policy, what)
    ends = arrays.get(ENDS)
    if ends is not None and np.shape(ends) != (len(numbers),):
        raise UserError(f"{what} its {ENDS} have the shape {np.shape(ends)}, but it must be ({len(numbers)},).")
    return Demonstrations(
        obs=_flat(arrays[OBSERVATIONS], policy, len(numbers), what),
        actions=policy.model.distribution(1).stored(_off_the_bounds(numbers, policy)),
        env_actions=numbers,
        action_mask=_masks(arrays.get(MASKS), numbers, policy, what) if policy.model.head.masked else None,
        episodes=None if ends is None else np.cumsum(np.asarray(ends, bool)) - np.asarray(ends, bool),
    )


def _of_file(path: str, what: str) -> dict[str, Any]:
    """The arrays of an .npz file; those with names like observations/KEY as dicts."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError as error:
        raise UserError(f"{what} it cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # of zip, zlib or NumPy's format
        raise UserError(f"{what} it is no .npz file of plain arrays: {' '.join(str(error).split())}.") from error
    return _nested(arrays)


def _nested(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, array in arrays.items():
        *path, last = name.split("/")
        reduce(lambda level, key: level.setdefault(key, {}), path, found)[last] = array
    return found


def _of_minari(dataset: str, what: str, argument: str) -> dict[str, Any]:
    """The observations, actions and ends of all episodes of a Minari dataset on this machine."""
    require_extra("minari", "minari", f"{argument} {dataset!r}, which is no file that ends with {FILE},")
    import minari

    try:
        episodes = list(minari.load_dataset(dataset).iterate_episodes())
    except FileNotFoundError as error:
        raise UserError(f"{what} there is no such dataset here: minari download {dataset}.") from error
    except Exception as error:
        raise UserError(f"{what} Minari cannot read it: {' '.join(str(error).split())}.") from error
    steps = [len(episode) for episode in episodes if len(episode)]
    ends = np.zeros(sum(steps), bool)
    ends[np.cumsum(steps, dtype=np.int64) - 1] = True
    whole = [(e.observations, e.actions, len(e)) for e in episodes if len(e)]
    # An episode has one more observation than steps.
    observations = _joined([_first(obs, length) for obs, _, length in whole])
    return {OBSERVATIONS: observations, ACTIONS: np.concatenate([a for _, a, _ in whole]) if whole else [], ENDS: ends}


def _first(part: Any, length: int) -> Any:
    """The first rows of the arrays in nested dicts and tuples."""
    if isinstance(part, dict):
        return {key: _first(value, length) for key, value in part.items()}
    return tuple(_first(value, length) for value in part) if isinstance(part, tuple) else part[:length]


def _joined(parts: list[Any]) -> Any:
    """The rows of several nested dicts and tuples of arrays, one after the other."""
    if parts and isinstance(parts[0], dict):
        return {key: _joined([part[key] for part in parts]) for key in parts[0]}
    if parts and isinstance(parts[0], tuple):
        return tuple(map(_joined, map(list, zip(*parts, strict=True))))
    return np.concatenate(parts) if parts else []


def _flat(observations: Any, policy: Policy, rows: int, what: str) -> np.ndarray:
    """The observations as flat ones, (M, D). Raises UserError if they do not fit."""
    flat_obs = np.zeros((rows, policy.observations.size), policy.obs_dtype)
    try:
        policy.observations.flatten(observations, flat_obs)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        space, reason = short(policy.observations.space), " ".join(str(error).split())
        raise UserError(f"{what} its observations do not fit {space} in {rows} rows: {reason}.") from error
    if not np.isfinite(flat_obs).all():
        raise UserError(f"{what} its observations must be finite and in {short(policy.observations.space)}.")
    return flat_obs


def _actions(given: np.ndarray, policy: Policy, what: str) -> np.ndarray:
    """The actions as the policy counts them, (M, A), or (M,) for Discrete. Raises UserError if they do not fit."""
    shape, space = np.shape(given), policy.actions.space
    if not shape or not shape[0]:
        raise UserError(f"{what} it has no rows.")
    rows = np.reshape(given, (shape[0], *policy.actions.shape)) if shape[1:] == (1,) else np.asarray(given)
    try:
        return policy.actions.from_env(rows, shape[0], bounded=False)
    except UserError as error:
        raise UserError(f"{what} its actions, of shape {shape}, must be in {short(space)}.") from error


def _off_the_bounds(numbers: np.ndarray, policy: Policy) -> np.ndarray:
    """Actions in a Box, (M, A), at least `EDGE` of its width inside of it, if the distribution has no density there."""
    bounds = policy.model.head.bounds
    if not bounds:
        return numbers
    low, high = np.array(bounds)
    return np.clip(numbers, low + EDGE * (high - low), high - EDGE * (high - low))


def _masks(masks: Any, numbers: np.ndarray, policy: Policy, what: str) -> np.ndarray:
    """The action masks, (M, K) int8. Raises UserError if they are missing, malformed, or do not allow the actions."""
    head = policy.model.head
    if masks is None:
        raise UserError(
            f"{what} it has no {MASKS}, which a policy with action_mask {policy.config.action_mask!r} needs."
        )
    shape = len(numbers), head.outputs
    if np.shape(masks) != shape or not np.isin(masks, (0, 1)).all():
        raise UserError(
            f"{what} its {MASKS} have the shape {np.shape(masks)}, but they must be {shape} zeros and ones."
        )
    columns = np.cumsum(head.sizes) - head.sizes + numbers.reshape(len(numbers), -1)
    if not np.take_along_axis(np.asarray(masks), columns, axis=1).all():
        raise UserError(f"{what} in some row its {MASKS} do not allow the action that was taken.")
    return np.asarray(masks, np.int8)
