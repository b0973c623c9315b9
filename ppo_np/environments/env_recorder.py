"""Records the state of all environments of a run, in memory and for a checkpoint, and restores it."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array

from ppo_np.environments.action_masks import MASK
from ppo_np.environments.attribute_changes import AttributeChanges, Change
from ppo_np.environments.compiled_envs import CompiledVectorEnv
from ppo_np.environments.env_restore import NO_SEED, WORDS, EpisodeStart, Restored, RestorePlan
from ppo_np.environments.guard import Guard
from ppo_np.environments.observed import Observed
from ppo_np.environments.workers import WorkerEnvs

LARGEST_HISTORY = 2**26  # bytes for recorded actions of all environments; longer episodes cannot be restored


class Mark(NamedTuple):
    """The state of N environments between two steps, without the actions that led there.

    Attributes:
        observed: what they show, with flat observations, (N, D).
        returns, lengths: (N,), of the present episodes. steps: of each environment in all.
        starts: how each episode began; empty if the environments cannot be restored.
        states: (N, W), as in `EnvRecord`; None if the environments do not show them.
    """

    observed: Observed
    returns: np.ndarray
    lengths: np.ndarray
    steps: int
    starts: Sequence[EpisodeStart]
    states: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class EnvRecord:
    """The state of N environments between two steps, as arrays.

    Attributes:
        obs: (N, D), flat observations.
        returns, lengths: (N,), sums of rewards and numbers of steps of the present episodes.
        steps: (), steps of each environment in all.
        episodes, seeds: (N,), rng_then, rng_now: (N, 6), as in `EpisodeStart`.
        known: (N,), 1 where the environment can be restored by its actions, else 0.
        actions: (sum of the lengths where known, ...), one environment after the other.
        action_mask: (N, K), as in `Observed`; None if all actions are valid.
        states: (N, W) uint64, the states of compiled environments, as bits; None for others.
        changes: attributes that were set in all environments, as `AttributeChanges` packs them; None if none was.
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
    states: np.ndarray | None = None
    changes: np.ndarray | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for a checkpoint."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in arrays.items() if array is not None}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "EnvRecord | None":
        """The inverse of `arrays`; None for an empty mapping. Raises ValueError if the arrays do not fit together."""
        if not arrays:
            return None
        if arrays.keys() | {"action_mask", "states", "changes"} != {field.name for field in fields(cls)}:
            raise ValueError("arrays of environments are missing")
        record = cls(**arrays)
        envs = len(record.returns)
        words = record.rng_then, record.rng_now
        counts = record.lengths, record.episodes, record.seeds, record.known
        if any(c.dtype.kind not in "iu" for c in (record.steps, *counts)) or any(w.dtype != np.uint64 for w in words):
            raise ValueError("arrays of environments are of other types")
        fits = {array.shape for array in (record.returns, *counts)} == {(envs,)}
        fits &= {array.shape for array in words} == {(envs, WORDS)}
        fits &= record.obs.ndim == 2 and len(record.obs) == envs
        fits &= record.action_mask is None or record.action_mask.shape[:1] == (envs,)
        if record.states is not None:
            fits &= record.states.ndim == 2 and len(record.states) == envs and record.states.dtype == np.uint64
        AttributeChanges.unpacked(record.changes)
        if not fits or record.steps.shape:
            raise ValueError("arrays of environments have different lengths")
        if (record.lengths < 0).any() or record.steps < 0:
            raise ValueError("numbers of steps of environments are negative")
        if any((array[:, 4:] >= (2, 2**32)).any() for array in words):  # a flag, and an integer of 32 bits
            raise ValueError("states of generators of environments are of another form")
        if not record.actions.ndim or len(record.actions) != record.lengths[record.known == 1].sum():
            raise ValueError("the environments' actions are not as many as their steps")
        return record

    @classmethod
    def joined(cls, records: Sequence["EnvRecord"]) -> "EnvRecord":
        """One record of several ranks' environments, in the order of the ranks."""
        arrays = [record.arrays() for record in records]
        names = arrays[0].keys() - {"steps", "actions", "changes"}
        joined = {name: np.concatenate([each[name] for each in arrays]) for name in names}
        actions = [each["actions"] for each in arrays if len(each["actions"])] or [arrays[0]["actions"]]
        steps, changes = records[0].steps, records[0].changes  # the same on all ranks
        return cls(**joined, steps=steps, changes=changes, actions=np.concatenate(actions))

    def part(self, envs: range) -> "EnvRecord":
        """The record of some adjacent environments."""
        ends = [0, *self._action_ends()]
        part = slice(envs.start, envs.stop)
        whole = "steps", "changes", "actions"
        parts = {name: array[part] for name, array in self.arrays().items() if name not in whole}
        actions = self.actions[ends[envs.start] : ends[envs.stop]]
        return EnvRecord(**parts, steps=self.steps, changes=self.changes, actions=actions)

    def _action_ends(self) -> np.ndarray:
        """(N,), where the actions of each environment end in `actions`."""
        return np.cumsum(np.where(self.known == 1, self.lengths, 0))

    def plans(self) -> list[RestorePlan | None]:
        """A plan for each environment; None if it cannot be restored."""
        starts = map(EpisodeStart, self.episodes.tolist(), self.seeds.tolist(), self.rng_then, self.rng_now)
        changes, steps = AttributeChanges.unpacked(self.changes), int(self.steps)
        return [
            RestorePlan(start, self.actions[end - length : end], changes.of_episode(steps - length))
            if known == 1
            else None
            for start, known, end, length in zip(
                starts, self.known, self._action_ends().tolist(), self.lengths.tolist(), strict=True
            )
        ]


class EnvRecorder:
    """Records the actions of environments since their episodes began, and restores environments from them.

    Args:
        envs: the vector environment.
        first: index of its first environment among the environments of all ranks.

    Attributes:
        can_restore: whether it can: only if each environment has a `Guard`, as all that this package makes.
        changes: attributes that were set in the environments.
    """

    def __init__(self, envs: VectorEnv, first: int = 0):
        self._envs, self._first = envs, first
        inner = getattr(envs, "envs", ())
        guarded = len(inner) > 0 and all(isinstance(env, Guard) for env in inner)
        self.can_restore = guarded or isinstance(envs, WorkerEnvs)
        self._actions: list[np.ndarray] = []
        self._last_step = 0
        self.changes = AttributeChanges()

    def _call(self, name: str, *args: object) -> Sequence[Any]:
        return self._envs.call(name, *args)  # type: ignore[attr-defined] # only its subclasses declare it

    def add(self, actions: np.ndarray) -> None:
        """Record the actions of a step, (N, ...), before the step."""
        if self.can_restore:
            self._actions.append(actions.copy())
            self._last_step += 1

    def mark(self, observed: Observed, returns: np.ndarray, lengths: np.ndarray, steps: int) -> Mark:
        """Note the present state of the environments, and drop the actions of episodes that have ended."""
        starts = self._call("episode_start") if self.can_restore else ()
        if self._actions:
            most = max(1, LARGEST_HISTORY // max(1, self._actions[0].nbytes))
            del self._actions[: -min(most, int(lengths.max())) or None]
        self.changes.prune(steps - int(lengths.max()))
        return Mark(Observed(*map(copy, observed)), returns.copy(), lengths.copy(), steps, starts)

    def record(self, mark: Mark) -> EnvRecord:
        """All that is needed to restore the environments at a mark, which must be the latest one."""
        envs = len(mark.returns)
        actions = self._actions[: len(self._actions) - (self._last_step - mark.steps)]
        starts = mark.starts or [EpisodeStart(0, 0, None, None)] * envs
        can_begin = [s.rng_now is not None and (s.seed >= 0 or s.rng_then is not None) for s in starts]
        known = np.array(can_begin) & (mark.lengths <= len(actions))
        history = np.stack(actions) if actions else np.zeros((0, envs), np.uint8)
        parts = [history[len(history) - mark.lengths[n] :, n] for n in np.flatnonzero(known)]
        none = np.zeros(WORDS, np.uint64)
        return EnvRecord(
            obs=mark.observed.obs, action_mask=mark.observed.action_mask,
            returns=mark.returns, lengths=mark.lengths, steps=np.array(mark.steps),
            episodes=np.array([start.episode for start in starts]), seeds=np.array([start.seed for start in starts]),
            rng_then=np.array([none if start.rng_then is None else start.rng_then for start in starts]),
            rng_now=np.array([none if start.rng_now is None else start.rng_now for start in starts]),
            known=known.astype(np.uint8), actions=np.concatenate(parts) if parts else history[:0, 0],
            states=mark.states, changes=self.changes.packed(mark.steps),
        )  # fmt: skip

    def restore(
        self, record: EnvRecord, flatten: Callable[[Any, np.ndarray], None], timeout: float
    ) -> tuple[Observed, np.ndarray]:
        """Restore the environments; those where that fails begin another episode.

        Args:
            record: of N environments.
            flatten: writes one observation into an array, (D,).
            timeout: seconds for each reset and step.

        Returns what the environments show, and which of them are restored, (N,) bool: those whose observation, action
        mask, return and random generator are the same as in the record, bit for bit.
        """
        plans = record.plans()
        others = [None] * self._first  # the index of a guard counts the environments of all ranks
        restored = self._call("restore", [*others, *plans], timeout)
        same = np.array([_is_same(one, record, n, flatten) for n, one in enumerate(restored)])
        self.changes = AttributeChanges.unpacked(record.changes)
        latest = [Change(0, name, value) for name, value in self.changes.latest().items()]
        fresh = self._call("reset_unrestored", [*others, *plans], [*others, *(~same).tolist()], timeout, latest)
        observations = [one.obs if same[n] else fresh[n][0] for n, one in enumerate(restored)]
        self._refill({n: plan.actions for n, plan in enumerate(plans) if plan and same[n]}, len(same))
        self._last_step = int(record.steps)
        space = self._envs.single_observation_space
        empty: Any = create_empty_array(space, len(same))
        masks = [one.action_mask if same[n] else fresh[n][1].get(MASK) for n, one in enumerate(restored)]
        return Observed(concatenate(space, observations, empty), None if masks[0] is None else np.stack(masks)), same

    def _refill(self, restored: dict[int, np.ndarray], envs: int) -> None:
        """Record the actions, (L, ...), of restored environments, by index, as if they had just been done."""
        if any(map(len, restored.values())):
            longest = max(restored.values(), key=len)
            history = np.zeros((len(longest), envs, *longest.shape[1:]), longest.dtype)
            for n, actions in restored.items():
                history[len(history) - len(actions) :, n] = actions
            self._actions = list(history)


class StateRecorder(EnvRecorder):
    """The same for compiled environments: their state is an array, so nothing is repeated, and no action recorded."""

    def __init__(self, envs: CompiledVectorEnv):
        super().__init__(envs)
        self._compiled = envs
        self.can_restore = True

    def add(self, actions: np.ndarray) -> None:
        """Nothing is recorded."""

    def mark(self, observed: Observed, returns: np.ndarray, lengths: np.ndarray, steps: int) -> Mark:
        """Note the present state of the environments."""
        states, words = self._compiled.snapshot()
        starts = [EpisodeStart(0, NO_SEED, None, own) for own in words]
        return Mark(Observed(*map(copy, observed)), returns.copy(), lengths.copy(), steps, starts, states)

    def restore(
        self, record: EnvRecord, flatten: Callable[[Any, np.ndarray], None], timeout: float
    ) -> tuple[Observed, np.ndarray]:
        """Restore the environments; those that show another observation than in the record begin another episode."""
        states = np.zeros((len(record.obs), 0), np.uint64) if record.states is None else record.states
        obs = self._compiled.restore(states, record.rng_now, record.lengths)
        flat_obs = np.zeros_like(record.obs)
        for one, flat in zip(obs, flat_obs, strict=True):
            flatten(one, flat)
        same = (flat_obs == record.obs).all(axis=1) & (states.shape[1] > 0)
        return Observed(obs if same.all() else self._compiled.restart(~same)), same


def _is_same(one: Restored | None, record: EnvRecord, n: int, flatten: Callable[[Any, np.ndarray], None]) -> bool:
    if one is None or one.rng is None:
        return False
    flat_obs = np.zeros_like(record.obs[n])
    try:
        flatten(one.obs, flat_obs)
    except (KeyError, IndexError, TypeError, ValueError):
        return False
    if (record.action_mask is None) != (one.action_mask is None):
        return False
    if record.action_mask is not None and not np.array_equal(record.action_mask[n], np.asarray(one.action_mask)):
        return False
    same_return = one.episodic_return == record.returns[n]
    return bool(np.array_equal(flat_obs, record.obs[n]) and same_return and np.array_equal(one.rng, record.rng_now[n]))
