"""What brings all environments of a run back to where they were, in memory and in a checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array

from ppo_np.environments.env_restore import WORDS, EpisodeStart, Restored, RestorePlan
from ppo_np.environments.guard import Guard
from ppo_np.environments.observed import Observed
from ppo_np.environments.workers import WorkerEnvs

# Actions that are remembered, in bytes over all environments. Episodes that need more cannot be rebuilt.
LARGEST_HISTORY = 2**26


class Mark(NamedTuple):
    """Where N environments stand between two steps: what `EnvRecorder.record` needs beside the actions.

    Attributes:
        observed: what they show, with flat observations, (N, D).
        returns, lengths: (N,), of the present episodes. steps: of each environment in all.
        starts: how each episode began; empty if that is not known.
    """

    observed: Observed
    returns: np.ndarray
    lengths: np.ndarray
    steps: int
    starts: Sequence[EpisodeStart]


@dataclass(frozen=True, kw_only=True)
class EnvRecord:
    """N environments between two steps, as arrays.

    Attributes:
        obs: (N, D), flat observations. returns: (N,), sums of rewards of the present episodes. lengths: (N,), their
            steps. steps: (), steps of each environment in all.
        episodes, seeds: (N,), rng_then, rng_now: (N, 6), as in `EpisodeStart`.
        known: (N,), 1 where the rest is complete, 0 where an environment cannot be brought back.
        actions: (sum of the lengths where known, ...), one environment after the other.
        action_mask: (N, ...), as in `Observed`; None if all actions are allowed.
    """

    obs: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray
    steps: np.ndarray
    episodes: np.ndarray
    seeds: np.ndarray
    rng_then: np.ndarray
    rng_now: np.ndarray
    known: np.ndarray
    actions: np.ndarray
    action_mask: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for a checkpoint."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in arrays.items() if array is not None}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "EnvRecord | None":
        """The inverse of `arrays`; None for an empty mapping.

        Raises:
            ValueError: Names, or lengths that do not fit each other.
        """
        if not arrays:
            return None
        if arrays.keys() | {"action_mask"} != {field.name for field in fields(cls)}:
            raise ValueError("arrays of environments are missing")
        record = cls(**arrays)
        envs = len(record.returns)
        vectors = record.returns, record.lengths, record.episodes, record.seeds, record.known
        words = record.rng_then, record.rng_now
        good = all(v.shape == (envs,) for v in vectors) and all(w.shape == (envs, WORDS) for w in words)
        counts = record.steps, record.lengths, record.episodes, record.seeds, record.known
        if any(c.dtype.kind not in "iu" for c in counts) or any(w.dtype != np.uint64 for w in words):
            raise ValueError("arrays of environments are of other types")
        good = good and (record.action_mask is None or record.action_mask.shape[:1] == (envs,))
        if not good or record.steps.shape or record.obs.ndim != 2 or len(record.obs) != envs:
            raise ValueError("arrays of environments have different lengths")
        known = record.lengths[record.known == 1]
        if (record.lengths < 0).any() or record.steps < 0:
            raise ValueError("environments have done less than no step")
        if not record.actions.ndim or len(record.actions) != known.sum():
            raise ValueError("the environments' actions are not as many as their steps")
        return record

    @classmethod
    def joined(cls, records: Sequence["EnvRecord"]) -> "EnvRecord":
        """One record of several ranks' environments, in the order of the ranks."""
        arrays = [record.arrays() for record in records]
        joined = {
            name: np.concatenate([each[name] for each in arrays]) for name in set(arrays[0]) - {"steps", "actions"}
        }
        actions = [each["actions"] for each in arrays if len(each["actions"])] or [arrays[0]["actions"]]
        return cls(**joined, steps=arrays[0]["steps"], actions=np.concatenate(actions))

    def part(self, envs: range) -> "EnvRecord":
        """The record of some neighbouring environments."""
        ends = np.concatenate([[0], np.cumsum(np.where(self.known == 1, self.lengths, 0))])
        rows = slice(envs.start, envs.stop)
        parts = {name: array[rows] for name, array in self.arrays().items() if name not in ("steps", "actions")}
        return EnvRecord(**parts, steps=self.steps, actions=self.actions[ends[envs.start] : ends[envs.stop]])

    def plans(self) -> list[RestorePlan | None]:
        """A plan for each environment; None where there is none."""
        plans, start = [], 0
        for n in range(len(self.returns)):
            if not self.known[n]:
                plans.append(None)
                continue
            end = start + int(self.lengths[n])
            begun = EpisodeStart(int(self.episodes[n]), int(self.seeds[n]), self.rng_then[n], self.rng_now[n])
            plans.append(RestorePlan(begun, self.actions[start:end]))
            start = end
        return plans


class EnvRecorder:
    """Remembers the actions that environments were given since their episodes began.

    Only environments that stand behind a `Guard` each can be brought back: ours, and those of a factory.

    Args:
        envs: the vector environment.
        first: number of the first one among the environments of all ranks.

    Attributes:
        can_restore: whether they can.
    """

    def __init__(self, envs: VectorEnv, first: int = 0):
        self._envs, self._first = envs, first
        inside = getattr(envs, "envs", ())
        self.can_restore = isinstance(envs, WorkerEnvs) or (
            len(inside) > 0 and all(isinstance(e, Guard) for e in inside)
        )
        self._actions: list[np.ndarray] = []
        self._last_step = 0

    def add(self, actions: np.ndarray) -> None:
        """Remember the actions of a step, (N, ...), before it is done."""
        if self.can_restore:
            self._actions.append(actions.copy())
            self._last_step += 1

    def mark(self, observed: Observed, returns: np.ndarray, lengths: np.ndarray, steps: int) -> Mark:
        """Note where the environments stand, and forget actions of episodes that have ended."""
        starts = self._envs.call("episode_start") if self.can_restore else ()
        if self._actions:
            most = max(1, LARGEST_HISTORY // max(1, self._actions[0].nbytes))
            del self._actions[: -min(most, int(lengths.max())) or None]
        return Mark(Observed(*map(copy, observed)), returns.copy(), lengths.copy(), steps, starts)

    def record(self, mark: Mark) -> EnvRecord:
        """Everything that brings the environments back to a mark; it must be the latest one."""
        envs, since = len(mark.returns), self._last_step - mark.steps
        actions = self._actions[: len(self._actions) - since]
        known = np.array([_is_known(start) for start in mark.starts] or [False] * envs) & (mark.lengths <= len(actions))
        window = np.stack(actions) if actions else np.zeros((0, envs), np.uint8)
        parts = [window[len(window) - mark.lengths[n] :, n] for n in np.flatnonzero(known)]
        none = np.zeros(WORDS, np.uint64)
        starts = mark.starts or [EpisodeStart(0, 0, None, None)] * envs
        return EnvRecord(
            obs=mark.observed.obs, action_mask=mark.observed.action_mask,
            returns=mark.returns, lengths=mark.lengths, steps=np.array(mark.steps),
            episodes=np.array([start.episode for start in starts]), seeds=np.array([start.seed for start in starts]),
            rng_then=np.array([none if start.rng_then is None else start.rng_then for start in starts]),
            rng_now=np.array([none if start.rng_now is None else start.rng_now for start in starts]),
            known=known.astype(np.uint8), actions=np.concatenate(parts) if parts else window[:0, 0],
        )  # fmt: skip

    def restore(self, record: EnvRecord, flatten: Callable[[Any, np.ndarray], None]) -> tuple[Observed, np.ndarray]:
        """Bring the environments back; those with which that fails begin another episode.

        Args:
            record: of as many environments.
            flatten: writes an observation into a row, (D,).

        Returns:
            What the environments show, and (N,) bool, which environments stand where they stood: with the same
            observation, return and random generator, bit for bit.
        """
        plans = record.plans()
        others = [None] * self._first  # a guard's index counts the environments of all ranks
        rebuilt = self._envs.call("restore", [*others, *plans])
        same = np.array([_is_same(one, record, n, flatten) for n, one in enumerate(rebuilt)])
        fresh = self._envs.call("reset_unrestored", [*others, *plans], [*others, *(~same).tolist()])
        observations = [one.obs if same[n] else fresh[n] for n, one in enumerate(rebuilt)]
        self._remember(plans, same)
        self._last_step = int(record.steps)
        space = self._envs.single_observation_space
        return Observed(concatenate(space, observations, create_empty_array(space, len(same)))), same

    def _remember(self, plans: Sequence[RestorePlan | None], same: np.ndarray) -> None:
        """Fill the memory as if the actions had just been done."""
        done = {n: plan.actions for n, plan in enumerate(plans) if same[n] and len(plan.actions)}
        if done:
            first = next(iter(done.values()))
            memory = np.zeros((max(map(len, done.values())), len(same), *first.shape[1:]), first.dtype)
            for n, actions in done.items():
                memory[len(memory) - len(actions) :, n] = actions
            self._actions = list(memory)


def _is_known(start: EpisodeStart) -> bool:
    return start.rng_now is not None and (start.seed >= 0 or start.rng_then is not None)


def _is_same(one: Restored | None, record: EnvRecord, n: int, flatten: Callable[[Any, np.ndarray], None]) -> bool:
    if one is None or one.rng is None:
        return False
    row = np.zeros_like(record.obs[n])
    try:
        flatten(one.obs, row)
    except (KeyError, IndexError, TypeError, ValueError):
        return False
    same_return = one.episodic_return == record.returns[n]
    return bool(np.array_equal(row, record.obs[n]) and same_return and np.array_equal(one.rng, record.rng_now[n]))
